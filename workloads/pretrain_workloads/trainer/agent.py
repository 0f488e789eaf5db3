"""Starts and watches this pod's ranks: torchrun's agent, in a process of its own.

On a CPU the ranks are forks of this process, so that all of them share the memory and the time of
one import of Megatron-core. With CUDA they are new processes, as a CUDA context does not survive a
fork.
"""

import gc
import json
import logging
import os
import signal
import sys
from dataclasses import asdict, dataclass, fields
from typing import Any

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_workloads.trainer.pod.roll_call import NotJoined, RollCall, call_roll
from pretrain_workloads.trainer.pod.workspace import KilledRank, Workspace

log = logging.getLogger(__name__)

_SHUTDOWN_SECONDS = 5
"""Time that ranks have to write their reports after another rank failed."""


@dataclass(frozen=True)
class Assignment:
    """Ranks that the agent of one pod runs, and their rendezvous."""

    nodes: int
    node_rank: int
    processes: int
    device: str
    address: str
    """Address of pod 0."""
    port: int
    run_id: str
    start_within: float
    """Longest time, in seconds, until all pods have met."""

    def to_json(self) -> str:
        """Return the command-line argument of this program."""
        return json.dumps(asdict(self))


def main(assignment: Assignment) -> int:
    """Run the ranks to their end; return 0 if all succeeded."""
    # The launcher stops the ranks through the workspace, so that they can save first.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    if assignment.device == "cpu":
        import_once()
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch

    from pretrain_workloads.trainer import rank

    try:
        workspace = Workspace.of_pod()
        store = call_roll(_roll_call(assignment), lambda: workspace.is_stop_requested)
        elastic_launch(_launch_config(assignment), rank.main)()
        del store  # its server serves pod 0's ranks until here
    except NotJoined as error:
        report = ExitReport(exit_class=ExitClass.INFRASTRUCTURE, message=str(error))
        Workspace.of_pod().write_agent_failure(report)
        return 1
    except ChildFailedError as error:
        killed = [
            KilledRank(rank=number, exit_code=failure.exitcode)
            for number, failure in sorted(error.failures.items())
        ]
        Workspace.of_pod().write_killed(killed)
        return 1
    return 0


def _roll_call(assignment: Assignment) -> RollCall:
    return RollCall(
        address=assignment.address,
        port=assignment.port,
        node=assignment.node_rank,
        nodes=assignment.nodes,
        run_id=assignment.run_id,
        seconds=assignment.start_within,
    )


def import_once() -> None:
    """Import all modules of the ranks, so that forks share them."""
    from pretrain_workloads.trainer.megatron import backend

    backend.prepare_backend("cpu")
    from pretrain_workloads.trainer import setup  # noqa: F401

    gc.collect()
    gc.freeze()  # keeps the garbage collectors of the forks from copying the shared memory


def _launch_config(assignment: Assignment) -> Any:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.launcher.api import LaunchConfig

    # The torch of an image's base may be older than ours, and wait as long as it likes.
    known = {field.name for field in fields(LaunchConfig)}
    limits: dict[str, Any] = (
        {"shutdown_timeout": _SHUTDOWN_SECONDS} if "shutdown_timeout" in known else {}
    )
    return LaunchConfig(
        logs_specs=DefaultLogsSpecs(str(Workspace.of_pod().folder("agent"))),
        min_nodes=assignment.nodes,
        max_nodes=assignment.nodes,
        nproc_per_node=assignment.processes,
        run_id=assignment.run_id,
        rdzv_backend="static",
        rdzv_endpoint=f"{assignment.address}:{assignment.port}",
        rdzv_configs={"rank": assignment.node_rank, "timeout": int(assignment.start_within)},
        max_restarts=0,
        monitor_interval=0.1,
        start_method="fork" if assignment.device == "cpu" else "spawn",
        signals_to_handle="SIGHUP",
        **limits,
    )


if __name__ == "__main__":
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    code = main(Assignment(**json.loads(sys.argv[1])))
    logging.shutdown()
    # Skip the interpreter's shutdown, at which libraries list what they leaked: pages of noise
    # behind the last line of a good log.
    os._exit(code)
