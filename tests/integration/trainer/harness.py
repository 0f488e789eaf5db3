"""Runs attempts of the real agent and ranks, importing Megatron-core once for all tests.

Reads one JSON list of pods a line (`root`, `assignment`), forks an agent for each of them, and
answers with the first one's root and the list of their exit codes.
"""

import json
import os
import signal
import sys
from typing import Any

_PATIENCE_SECONDS = 180
"""Longest time that an attempt may take: less than a test has."""


def main() -> None:
    """Serve until the end of the input."""
    os.environ |= {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    from pretrain_workloads.trainer import agent

    agent.import_once()
    for line in sys.stdin:
        pods = json.loads(line)
        children = [_start(pod) for pod in pods]
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        sys.stdout.write(json.dumps({"root": pods[0]["root"], "codes": codes}) + "\n")
        sys.stdout.flush()


def _start(pod: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        from pretrain_workloads.trainer import agent

        signal.signal(signal.SIGALRM, _give_up)
        signal.alarm(_PATIENCE_SECONDS)
        os.environ |= pod["environment"]
        with open(pod["log"], "w", encoding="utf-8") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            code = agent.main(agent.Assignment(**pod["assignment"]))
    finally:
        os._exit(code)


def _give_up(*_: object) -> None:
    """End an attempt that hangs, and say in its log where the ranks are."""
    from pretrain_workloads.trainer.pod.heartbeat import ask_for_stacks, read_beats
    from pretrain_workloads.trainer.pod.workspace import Workspace

    folder = Workspace.of_pod().heartbeats
    for rank, stacks in ask_for_stacks(folder, read_beats(folder)).items():
        sys.stderr.write(f"rank {rank} hangs:\n{stacks or 'no answer'}\n")
    sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    main()
