"""The processes of a pod on this machine, to kill them as a failing node would."""

import os
import signal
from pathlib import Path


def kill_pod(name: str) -> int:
    """Send SIGKILL to the training processes of a pod; return how many there were."""
    killed = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue  # it ended, or is somebody else's
        if f"POD_NAME={name}".encode() in variables and b"rank" in command:
            os.kill(int(folder.name), signal.SIGKILL)
            killed += 1
    return killed
