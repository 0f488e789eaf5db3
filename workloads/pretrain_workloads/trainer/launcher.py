"""One pod of a run: checks storage, starts the agent, and reports how the attempt ended here."""

import logging
import os
import signal
import subprocess
import sys
import time
from functools import partial

from pretrain_api.reports import ExitReport
from pretrain_api.runs import TrainingRun
from pretrain_workloads.failures import Preempted
from pretrain_workloads.storage import scratch_path
from pretrain_workloads.task import load_run, task_rank
from pretrain_workloads.trainer.agent import Assignment
from pretrain_workloads.trainer.checkpoint import store
from pretrain_workloads.trainer.inputs import check_inputs
from pretrain_workloads.trainer.outcome import RankResults, exit_report, fit_termination_message
from pretrain_workloads.trainer.pod import rendezvous, resources
from pretrain_workloads.trainer.pod.heartbeat import find_hang
from pretrain_workloads.trainer.pod.parent_death import die_with_parent
from pretrain_workloads.trainer.pod.workspace import Workspace
from pretrain_workloads.trainer.run_folder.folders import run_folder
from pretrain_workloads.trainer.run_folder.holder import HolderPhase
from pretrain_workloads.trainer.run_folder.lease import Lease, hold_lease
from pretrain_workloads.trainer.run_folder.preflight import check_storage

log = logging.getLogger(__name__)

RENDEZVOUS_SECONDS = 300.0
"""How long pods wait for pod 0's address: images may still be pulled on its node."""

_REPORT_SECONDS = 20.0
"""The end of the pod's grace period, which the launcher needs to report."""

_POLL_SECONDS = 0.1


def launch() -> ExitReport:
    """Run this pod's part of the attempt and return its report."""
    run = load_run(TrainingRun)
    is_first_pod = task_rank() == 0
    report = check_storage(run, is_writer=is_first_pod)
    if report is not None:
        log.info("the run was complete before")
    elif is_first_pod:
        check_inputs(run)
        with hold_lease(run, partial(store.delete_unusable, run_folder(run))) as lease:
            report = _run_attempt(run, lease)
    else:
        report = _run_attempt(run, None)
    return fit_termination_message(report)


def _run_attempt(run: TrainingRun, lease: Lease | None) -> ExitReport:
    workspace = Workspace.of_pod()
    workspace.clear()
    address = find_first_pod(run, lease)
    log.info("pod 0 is %s at %s, port %d", run.rendezvous_host, address, run.rendezvous_port)
    kills = resources.memory_kills()
    agent = _start_agent(run, address)
    exit_code, hang = _wait(agent, run, workspace, lease)
    results = RankResults(
        reports=workspace.read_reports(),
        killed=workspace.read_killed(),
        processes=run.processes_per_node,
        is_stop_requested=workspace.is_stop_requested,
        was_out_of_memory=resources.memory_kills() > kills,
        agent_exit_code=exit_code,
        agent_failure=workspace.read_agent_failure(),
        hang=hang,
    )
    return exit_report(results, workspace.read_snapshot())


def find_first_pod(run: TrainingRun, lease: Lease | None) -> str:
    """Return the address of pod 0; pod 0 itself renews the lease while it waits.

    Raises:
        Unresolved: If pod 0 has no address within `RENDEZVOUS_SECONDS`.
        LeaseLost: If this attempt does not hold the lease of the run's folder any more.
    """
    sleep = partial(_sleep, lease, "running")
    return rendezvous.find_address(run.rendezvous_host, RENDEZVOUS_SECONDS, sleep)


def _sleep(lease: Lease | None, phase: HolderPhase, seconds: float) -> None:
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
        start_within=float(run.spec.recovery.start_within),
    )
    command = [sys.executable, "-m", "pretrain_workloads.trainer.agent", assignment.to_json()]
    environment = build_environment(run.device, run.processes_per_node, address)
    # Set before the exec: a launcher that is killed at once leaves no agent behind either.
    return subprocess.Popen(command, env=environment, preexec_fn=die_with_parent)


def build_environment(device: str, processes: int, address: str) -> dict[str, str]:
    """Return the environment of `processes` ranks in this pod; the pod's own variables win."""
    threads = max(1, resources.cores() // processes)
    environment = {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
    if rendezvous.is_loopback(os.environ.get("POD_IP", address)):
        environment["GLOO_SOCKET_IFNAME"] = "lo"  # the host name may resolve to another interface
    if device == "cuda":
        # Lets tensor parallelism overlap communication with computation before Blackwell.
        environment["CUDA_DEVICE_MAX_CONNECTIONS"] = "1"
        # The planner's memory limit relies on it. Of the names that torch reads, this one has the
        # lowest precedence, so that a profile may set any of them.
        environment["PYTORCH_ALLOC_CONF"] = "expandable_segments:True"
        # Few kernels are compiled. By default each rank would start 32 processes for that.
        environment["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
        # Compiled kernels: the user of a pod has no home, which is where Triton would keep them.
        for compiler in ("TORCHINDUCTOR", "TRITON"):
            environment[f"{compiler}_CACHE_DIR"] = str(scratch_path() / "kernels")
    return environment | dict(os.environ)


def _wait(
    agent: subprocess.Popen[bytes], run: TrainingRun, workspace: Workspace, lease: Lease | None
) -> tuple[int, str | None]:
    """Wait for the agent's end; return its exit code, and where the ranks were if they hung.

    After a SIGTERM, the ranks are asked to stop. The agent is killed in the end.

    Raises:
        LeaseLost: If this attempt does not hold the lease of the run's folder any more.
    """
    hang = None
    try:
        log.info("process %d starts the ranks", agent.pid)
        while agent.poll() is None and hang is None:
            _sleep(lease, "running", _POLL_SECONDS)
            hang = find_hang(workspace.heartbeats, run.spec.recovery.step_within)
    except (Preempted, KeyboardInterrupt) as request:
        log.warning("%s; asking the ranks to save and end", request)
        for number in (signal.SIGTERM, signal.SIGINT):  # a second one must not stop the save
            signal.signal(number, signal.SIG_IGN)
        workspace.request_stop()
        _wait_for_end(agent, lease, run.spec.checkpoint.grace_period - _REPORT_SECONDS)
    finally:
        if agent.poll() is None:
            agent.kill()  # its ranks die with it
            agent.wait()
    return agent.returncode, hang


def _wait_for_end(agent: subprocess.Popen[bytes], lease: Lease | None, seconds: float) -> None:
    """Wait up to `seconds` for the agent's end, and renew the lease meanwhile."""
    deadline = time.monotonic() + seconds
    while agent.poll() is None:
        if time.monotonic() >= deadline:
            log.error("the ranks did not end within %.0f s", seconds)
            return
        _sleep(lease, "ending", _POLL_SECONDS)
