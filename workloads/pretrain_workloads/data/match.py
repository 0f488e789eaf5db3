"""`match`: each task searches some bands of the signatures for near-duplicate pairs."""

import logging
from contextlib import ExitStack

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import PipelineRun
from pretrain_workloads.data.files import PipelineFiles
from pretrain_workloads.storage import Folder, open_output
from pretrain_workloads.storage.arrays import write_array

log = logging.getLogger(__name__)


def match(run: PipelineRun, rank: int) -> ExitReport:
    """Write the near-duplicate pairs in the bands of task `rank`, unless that is done."""
    folder, names = open_output(run), PipelineFiles(run.tasks)
    if run.spec.deduplication.near is None or folder.exists(names.edges(rank)):
        return ExitReport(exit_class=ExitClass.COMPLETE)
    pairs, candidates = _write_edges(run, folder, names, rank)
    log.info("%s pairs of %s candidates are similar", pairs, candidates)
    counts = {"candidates": candidates, "pairs": pairs}
    return ExitReport(exit_class=ExitClass.COMPLETE, counts=counts)


def _write_edges(
    run: PipelineRun, folder: Folder, names: PipelineFiles, rank: int
) -> tuple[int, int]:
    """Write the edges that task `rank` finds; return how many, and of how many candidates."""
    from pretrain_workloads.data.dedup.bands import banding  # numba loads slowly
    from pretrain_workloads.data.dedup.pairs import find_edges
    from pretrain_workloads.data.dedup.signature_files import SignatureFiles

    counts = [int(folder.read_json(names.prepared(task))["passed"]) for task in range(run.tasks)]
    with ExitStack() as stack:
        files = SignatureFiles(folder, names, counts, stack)
        edges, candidates = find_edges(files, banding(run.spec.deduplication), rank, run.tasks)
    write_array(folder, names.edges(rank), edges)
    return len(edges), candidates
