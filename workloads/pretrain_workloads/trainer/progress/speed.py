"""Speed of a run over its last steps, and the estimated time to its end."""

from collections import deque
from dataclasses import dataclass

WINDOW = 20
"""Steps that the speed is averaged over: few enough for a change to show, enough for one slow step
not to."""


@dataclass(frozen=True)
class Speed:
    """Speed of a run."""

    tokens_per_second: float
    """Tokens of all devices."""

    eta_seconds: float
    """Time that the remaining steps take at this speed."""


class SpeedMeter:
    """Measures the speed over a sliding window of steps."""

    def __init__(self, tokens_per_step: int, train_iters: int) -> None:
        self._tokens_per_step = tokens_per_step
        self._train_iters = train_iters
        self._marks: deque[tuple[int, float]] = deque(maxlen=WINDOW + 1)

    def pause(self) -> None:
        """Forget the steps so far: the time until the next mark is not training."""
        self._marks.clear()

    def mark(self, step: int, now: float) -> Speed | None:
        """Record that `step` ended at `now`, in seconds; return the speed, once it is known."""
        self._marks.append((step, now))
        first, began = self._marks[0]
        if step <= first or now <= began:
            return None
        steps_per_second = (step - first) / (now - began)
        return Speed(
            tokens_per_second=steps_per_second * self._tokens_per_step,
            eta_seconds=max(0, self._train_iters - step) / steps_per_second,
        )
