"""What is known about the run while it goes on, in the form that others read."""

import math
import threading
from datetime import UTC, datetime
from typing import Any

from pretrain_api.v1alpha1.progress import Progress, TrainingSummary
from pretrain_workloads.trainer.pod.workspace import Note
from pretrain_workloads.trainer.progress.curve import LossCurve


def now() -> str:
    """Return the time, RFC 3339."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Tracker:
    """The newest progress and summary. One thread changes them, others read."""

    def __init__(self, progress: Progress, summary: TrainingSummary, curve: LossCurve) -> None:
        self._note = Note(progress=progress, summary=summary)
        self.curve = curve
        self._lock = threading.Lock()

    @property
    def note(self) -> Note:
        """Return all that is known, with the time."""
        with self._lock:
            progress = self._note.progress.model_copy(update={"curve": self.curve.points})
            return self._note.model_copy(update={"progress": progress})

    @property
    def progress(self) -> Progress:
        """Return how far the run is."""
        return self.note.progress

    @property
    def summary(self) -> TrainingSummary:
        """Return what the attempt reached."""
        return self.note.summary

    def set_progress(self, **changes: Any) -> None:
        """Note new values of `Progress`."""
        shown = {name: _shown(value) for name, value in changes.items()}
        with self._lock:
            progress = self._note.progress.model_copy(update=shown | {"updated_at": now()})
            self._note = self._note.model_copy(update={"progress": progress})

    def set_summary(self, **changes: Any) -> None:
        """Note new values of `TrainingSummary`."""
        with self._lock:
            summary = self._note.summary.model_copy(update=changes)
            self._note = self._note.model_copy(update={"summary": summary})

    def add_loss(self, step: int, loss: float) -> None:
        """Note the loss of a step."""
        with self._lock:
            self.curve.add(step, loss)


def _shown(value: Any) -> Any:
    """Return a measured value with the four digits that `kubectl get` has room for."""
    return float(f"{value:.4g}") if isinstance(value, float) and math.isfinite(value) else value
