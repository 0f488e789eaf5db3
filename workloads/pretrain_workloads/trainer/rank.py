"""One rank of a run: what torchrun's agent runs in each of its processes."""

import logging
import os
import sys

from pretrain_api import paths
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import TrainingRun
from pretrain_workloads.exit import load_run
from pretrain_workloads.trainer.megatron import backend as backends
from pretrain_workloads.trainer.pod import rank_failures
from pretrain_workloads.trainer.pod.interrupts import StopRequest
from pretrain_workloads.trainer.pod.parent_death import die_with_parent
from pretrain_workloads.trainer.pod.workspace import RankReport, Workspace

log = logging.getLogger(__name__)


def main() -> None:
    """Train, write into the workspace how it ended, and end with the class's exit code."""
    die_with_parent()
    rank = int(os.environ["RANK"])
    logging.basicConfig(
        level=logging.INFO if rank == 0 else logging.WARNING,
        format=f"%(asctime)s rank {rank} %(levelname)s %(message)s",
        stream=sys.stderr,
        force=True,
    )
    for name in ("megatron", "torch"):  # they tell what they build, tensor by tensor
        logging.getLogger(name).setLevel(logging.ERROR)
    workspace = Workspace.of_pod()
    stop = StopRequest(workspace)
    stop.listen()
    collateral = False
    try:
        report = _train(workspace, stop)
    except BaseException as error:
        log.error("rank %d ends", rank, exc_info=error)
        report, collateral = _explain(error)
    workspace.write_report(RankReport(rank=rank, collateral=collateral, report=report))
    sys.stderr.flush()
    if report.exit_class not in (ExitClass.COMPLETE, ExitClass.PREEMPTED):
        # Without the interpreter's shutdown: threads of a broken process group may never end.
        os._exit(report.exit_class.exit_code)
    # All ranks agreed on this end: to the agent, and to the other ranks, it is a good one.


def _train(workspace: Workspace, stop: StopRequest) -> ExitReport:
    run = load_run(TrainingRun)
    backend = backends.prepare(run.device)
    from pretrain_workloads.trainer.export.completion import complete
    from pretrain_workloads.trainer.progress.progress_server import serve
    from pretrain_workloads.trainer.setup import build_training

    training = build_training(run, backend, workspace, stop)
    if training.world.rank == 0:
        serve(training.tracker, os.environ.get("POD_IP", "127.0.0.1"), paths.PROGRESS_PORT)
    training.train()
    return complete(training)


def _explain(error: BaseException) -> tuple[ExitReport, bool]:
    report, collateral = rank_failures.report_of(error)
    if not collateral:
        return report, False
    return report.model_copy(update={"message": rank_failures.explain_loss(report.message)}), True
