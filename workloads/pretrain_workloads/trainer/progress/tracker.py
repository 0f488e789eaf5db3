"""The current progress of the run, in the form that the operator reads."""

import math
import threading
from datetime import UTC, datetime
from typing import Any

from pretrain_api.v1alpha1.progress import Progress, TrainingSummary
from pretrain_workloads.trainer.pod.workspace import ProgressSnapshot
from pretrain_workloads.trainer.progress.curve import LossCurve


class Tracker:
    """The current progress and summary. One thread changes them, others read them."""

    def __init__(self, progress: Progress, summary: TrainingSummary, curve: LossCurve) -> None:
        self._snapshot = ProgressSnapshot(progress=progress, summary=summary)
        self.curve = curve
        self._lock = threading.Lock()

    @property
    def snapshot(self) -> ProgressSnapshot:
        """Return progress and summary of this moment."""
        with self._lock:
            progress = self._snapshot.progress.model_copy(update={"curve": self.curve.points})
            return self._snapshot.model_copy(update={"progress": progress})

    @property
    def progress(self) -> Progress:
        """Return how far the run is."""
        return self.snapshot.progress

    @property
    def summary(self) -> TrainingSummary:
        """Return what the attempt has reached."""
        return self.snapshot.summary

    def set_progress(self, **changes: Any) -> None:
        """Set fields of `Progress`, and the time of the update."""
        rounded = {name: _rounded(value) for name, value in changes.items()}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._lock:
            progress = self._snapshot.progress.model_copy(update=rounded | {"updated_at": now})
            self._snapshot = self._snapshot.model_copy(update={"progress": progress})

    def set_summary(self, **changes: Any) -> None:
        """Set fields of `TrainingSummary`."""
        with self._lock:
            summary = self._snapshot.summary.model_copy(update=changes)
            self._snapshot = self._snapshot.model_copy(update={"summary": summary})

    def add_loss(self, step: int, loss: float) -> None:
        """Add the loss of a step to the curve."""
        with self._lock:
            self.curve.add(step, loss)


def _rounded(value: Any) -> Any:
    """Return a measured value with the four digits that `kubectl get` has room for."""
    return float(f"{value:.4g}") if isinstance(value, float) and math.isfinite(value) else value
