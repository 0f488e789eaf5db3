"""One pod of a run: finds pod 0, runs this pod's ranks, and says how the attempt ended here."""

import logging
import math
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from functools import partial

from pretrain_api.reports import ExitReport
from pretrain_api.runs import TrainingRun
from pretrain_workloads.exit import Preempted, load_run, task_rank
from pretrain_workloads.trainer import outcome
from pretrain_workloads.trainer.agent import Assignment
from pretrain_workloads.trainer.pod import rendezvous, resources
from pretrain_workloads.trainer.pod.parent_death import die_with_parent
from pretrain_workloads.trainer.pod.workspace import Workspace
from pretrain_workloads.trainer.run_folder.holder import Phase
from pretrain_workloads.trainer.run_folder.lease import Lease, hold_lease
from pretrain_workloads.trainer.run_folder.preflight import try_places

log = logging.getLogger(__name__)

RENDEZVOUS_SECONDS = 300.0
"""How long pods wait for pod 0's address: images may still be pulled on its node."""

GRACE_SECONDS = 100.0
"""How long ranks may take to save and end after SIGTERM. The pod's grace period is longer."""

_POLL_SECONDS = 0.1


def launch() -> ExitReport:
    """Run this pod's part of the attempt and return its report."""
    run = load_run(TrainingRun)
    is_first_pod = task_rank() == 0
    report = try_places(run, is_writer=is_first_pod)
    if report is not None:
        log.info("the run was complete before")
        return outcome.cut_to_size(report)
    with hold_lease(run) if is_first_pod else nullcontext() as lease:
        return outcome.cut_to_size(_attempt(run, lease))


def _attempt(run: TrainingRun, lease: Lease | None) -> ExitReport:
    workspace = Workspace.of_pod()
    workspace.clear()
    address = find_first_pod(run, lease)
    log.info("pod 0 is %s at %s, port %d", run.rendezvous_host, address, run.rendezvous_port)
    kills = resources.memory_kills()
    agent = _start_agent(run, address)
    exit_code = _wait(agent, workspace, lease)
    seen = outcome.Observed(
        reports=workspace.read_reports(),
        killed=workspace.read_killed(),
        processes=run.processes_per_node,
        is_stop_asked=workspace.is_stop_asked,
        was_out_of_memory=resources.memory_kills() > kills,
        agent_exit_code=exit_code,
    )
    return outcome.conclude(seen, workspace.read_note())


def find_first_pod(run: TrainingRun, lease: Lease | None) -> str:
    """Return the address of pod 0; pod 0 itself renews the lease while it waits.

    Raises:
        Unresolved: If pod 0 has no address within `RENDEZVOUS_SECONDS`.
        LeaseLost: If this attempt does not hold the lease of the run's folder any more.
    """
    pause = partial(_pause, lease, "running")
    return rendezvous.find_address(run.rendezvous_host, RENDEZVOUS_SECONDS, pause)


def _pause(lease: Lease | None, phase: Phase, seconds: float) -> None:
    """Sleep, and renew the lease if it is due."""
    if lease is not None:
        lease.renew_if_due(phase)
    time.sleep(seconds)


def _start_agent(run: TrainingRun, address: str) -> subprocess.Popen[bytes]:
    assignment = Assignment(
        nodes=run.spec.parallelism.nodes,
        node_rank=task_rank(),
        processes=run.processes_per_node,
        device=run.device,
        address=address,
        port=run.rendezvous_port,
        run_id=f"{run.namespace}-{run.name}-{run.attempt}",
    )
    command = [sys.executable, "-m", "pretrain_workloads.trainer.agent", assignment.to_json()]
    environment = build_environment(run.device, run.processes_per_node, address)
    # Before it is even Python: a launcher that is killed at once leaves no agent either.
    return subprocess.Popen(command, env=environment, preexec_fn=die_with_parent)


def build_environment(device: str, processes: int, address: str) -> dict[str, str]:
    """Return the environment of `processes` ranks in this pod; what the pod already sets wins."""
    threads = max(1, resources.cores() // processes)
    environment = {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
    if rendezvous.is_loopback(os.environ.get("POD_IP", address)):
        environment["GLOO_SOCKET_IFNAME"] = "lo"  # the host's name may lead elsewhere
    if device == "cuda":
        # Overlaps communication with computing in tensor parallelism before Blackwell.
        environment["CUDA_DEVICE_MAX_CONNECTIONS"] = "1"
        # The planner's memory limit counts on it. Of the names that torch reads, this one is
        # read last, so that a profile may set any of them.
        environment["PYTORCH_ALLOC_CONF"] = "expandable_segments:True"
    return environment | dict(os.environ)


def _wait(agent: subprocess.Popen[bytes], workspace: Workspace, lease: Lease | None) -> int:
    """Return the agent's exit code; after a SIGTERM, ask it to stop and kill it in the end.

    Raises:
        LeaseLost: If this attempt does not hold the lease of the run's folder any more.
    """
    try:
        _watch(agent, lease, "running", math.inf)
    except (Preempted, KeyboardInterrupt) as request:
        log.warning("%s; asking the ranks to save and end", request)
        workspace.ask_to_stop()
        _watch(agent, lease, "ending", GRACE_SECONDS)
    finally:
        if agent.poll() is None:
            agent.kill()  # its ranks die with it
            agent.wait()
    return agent.returncode


def _watch(
    agent: subprocess.Popen[bytes], lease: Lease | None, phase: Phase, seconds: float
) -> None:
    """Wait up to `seconds` for the agent's end, and renew the lease meanwhile."""
    deadline = time.monotonic() + seconds
    while agent.poll() is None:
        if time.monotonic() >= deadline:
            log.error("the ranks did not end within %.0f s", seconds)
            return
        _pause(lease, phase, _POLL_SECONDS)
