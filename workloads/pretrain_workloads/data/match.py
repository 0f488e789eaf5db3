"""`match`: each task searches some bands of the signatures for near-duplicate pairs."""

import logging
from contextlib import ExitStack

import numpy as np

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import PipelineRun
from pretrain_api.v1alpha1.pipeline.deduplication import NearDeduplication
from pretrain_workloads.data.dedup.edges import Edges
from pretrain_workloads.data.files import PipelineFiles
from pretrain_workloads.storage import Folder, open_output
from pretrain_workloads.storage.arrays import write_array

log = logging.getLogger(__name__)


def match(run: PipelineRun, rank: int) -> ExitReport:
    """Write the near-duplicate pairs in the bands of task `rank`, unless that is done."""
    folder, names = open_output(run), PipelineFiles(run.tasks)
    near = run.spec.deduplication.near
    if near is None or folder.exists(names.edges(rank)):
        return ExitReport(exit_class=ExitClass.COMPLETE)
    edges, candidates = _find_edges(folder, names, near, rank, run.tasks)
    write_array(folder, names.edges(rank), edges)
    log.info("%s pairs of %s candidates are similar", len(edges), candidates)
    counts = {"candidates": candidates, "pairs": len(edges)}
    return ExitReport(exit_class=ExitClass.COMPLETE, counts=counts)


def _find_edges(
    folder: Folder, names: PipelineFiles, near: NearDeduplication, rank: int, tasks: int
) -> tuple[Edges, int]:
    from pretrain_workloads.data.dedup.pairs import SignatureFiles, find_edges  # numba loads slowly

    with ExitStack() as stack:
        paths = [stack.enter_context(folder.fetched(names.signatures(t))) for t in range(tasks)]
        signatures = SignatureFiles([np.load(path, mmap_mode="r") for path in paths])
        return find_edges(signatures, near, rank, tasks)
