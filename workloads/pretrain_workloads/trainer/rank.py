"""One rank of a run: the program of each process that torchrun's agent starts."""

import logging
import os
import sys

from pretrain_api import paths
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import TrainingRun
from pretrain_workloads.task import load_run
from pretrain_workloads.trainer.megatron.backend import prepare_backend
from pretrain_workloads.trainer.pod.heartbeat import Heartbeat, wait_for_beats
from pretrain_workloads.trainer.pod.interrupts import StopRequest
from pretrain_workloads.trainer.pod.lost_peers import describe_lost_peers
from pretrain_workloads.trainer.pod.parent_death import die_with_parent
from pretrain_workloads.trainer.pod.rank_failures import explain_failure
from pretrain_workloads.trainer.pod.workspace import RankReport, Workspace
from pretrain_workloads.trainer.progress.progress_server import serve

log = logging.getLogger(__name__)


def main() -> None:
    """Train, write this rank's report into the workspace, and exit with the code of its class."""
    die_with_parent()
    rank = int(os.environ["RANK"])
    logging.basicConfig(
        level=logging.INFO if rank == 0 else logging.WARNING,
        format=f"%(asctime)s rank {rank} %(levelname)s %(message)s",
        stream=sys.stderr,
        force=True,
    )
    for name in ("megatron", "torch"):  # they log every tensor that they build
        logging.getLogger(name).setLevel(logging.ERROR)
    workspace = Workspace.of_pod()
    stop = StopRequest(workspace)
    stop.listen()
    collateral = False
    try:
        report = _train(workspace, stop)
    except BaseException as error:
        log.error("rank %d ends", rank, exc_info=error)
        report, collateral = _failure(error)
    workspace.write_report(RankReport(rank=rank, collateral=collateral, report=report))
    sys.stderr.flush()
    if report.exit_class not in (ExitClass.COMPLETE, ExitClass.PREEMPTED):
        # Skip the interpreter's shutdown: threads of a broken process group may never end.
        os._exit(report.exit_class.exit_code)
    # All ranks agreed to end: to the agent, and to the other ranks, this is a success.


def _train(workspace: Workspace, stop: StopRequest) -> ExitReport:
    run = load_run(TrainingRun)
    rank = int(os.environ["RANK"])
    heartbeat = Heartbeat(workspace.heartbeats, rank, run.spec.recovery.step_within)
    if run.device == "cpu":
        wait_for_beats(workspace.heartbeats, run.processes_per_node)
    backend = prepare_backend(run.device)
    from pretrain_workloads.trainer.setup import build_training

    training = build_training(run, backend, workspace, stop, heartbeat)
    if training.model.groups.rank == 0:
        address = os.environ.get("POD_IP", "127.0.0.1")
        serve(training.reporter.tracker, address, paths.PROGRESS_PORT)
    training.train()
    return training.complete()


def _failure(error: BaseException) -> tuple[ExitReport, bool]:
    """Return the report of `error`, and whether the loss of another rank caused it."""
    report, collateral = explain_failure(error)
    if collateral:
        report = report.model_copy(update={"message": describe_lost_peers(report.message)})
    return report, collateral
