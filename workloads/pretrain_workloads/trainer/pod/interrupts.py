"""Whether this rank was asked to save and end."""

import signal
from types import FrameType

from pretrain_workloads.trainer.pod.workspace import Workspace


class StopRequest:
    """Asked through the pod's workspace, or by a signal."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._is_signalled = False

    def listen(self) -> None:
        """Take SIGTERM and SIGINT as requests; whoever sent them decides how long to wait."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._is_signalled = True

    @property
    def is_asked(self) -> bool:
        """Return whether it was."""
        return self._is_signalled or self._workspace.is_stop_asked
