"""The request that a rank saves and ends before its last step."""

import signal
from types import FrameType

from pretrain_workloads.trainer.pod.workspace import Workspace


class Interrupted(Exception):
    """The rank was asked to end, and the run can continue from a checkpoint."""


class StopRequest:
    """Whether this rank was asked to save and end, in the pod's workspace or by a signal."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._is_signalled = False

    def listen(self) -> None:
        """Take SIGTERM and SIGINT as requests; the sender decides how long it waits."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._is_signalled = True

    @property
    def is_requested(self) -> bool:
        """Return whether this rank should save and end."""
        return self._is_signalled or self._workspace.is_stop_requested
