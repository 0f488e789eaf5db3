"""TensorBoard's event files: one for each part of an attempt that a checkpoint ends.

They lie in the run's folder below `tensorboard/attempt-<number>`. What a killed attempt did after
its last checkpoint is not there: it is done again.
"""

import logging
import shutil
from pathlib import Path

from tensorboardX import SummaryWriter

from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder

log = logging.getLogger(__name__)

FOLDER = "tensorboard"


class EventFiles:
    """Writes scalars to a local file, and publishes it.

    Args:
        local: Local folder for the file that is being written.
        folder: The run's folder.
        attempt: Number of the attempt.
    """

    def __init__(self, local: Path, folder: Folder, attempt: int) -> None:
        self._local, self._folder, self._attempt = local, folder, attempt
        self._writer: SummaryWriter | None = None
        self._parts = 0

    def add(self, step: int, values: dict[str, float | None]) -> None:
        """Add the values that are known at a step, by name."""
        if self._writer is None:
            shutil.rmtree(self._local, ignore_errors=True)
            suffix = f".{self._parts:06d}"
            self._writer = SummaryWriter(str(self._local), filename_suffix=suffix)
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(name, value, step)

    def publish(self) -> None:
        """Publish what was added since the last time; the run goes on without what fails."""
        if self._writer is None:
            return
        self._writer.close()
        self._writer, self._parts = None, self._parts + 1
        try:
            self._folder.upload(self._local, f"{FOLDER}/attempt-{self._attempt}")
        except (OSError, UserError) as error:
            log.warning("the curves for TensorBoard are not published: %s", error)
