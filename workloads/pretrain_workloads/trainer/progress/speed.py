"""How fast a run is, over its last steps, and when it will end."""

from collections import deque
from dataclasses import dataclass

WINDOW = 20
"""Steps that the speed is measured over: recent enough for a change to show, long enough that one
slow step does not."""


@dataclass(frozen=True)
class Speed:
    """What a run does in a second."""

    tokens_per_second: float
    """Tokens of all devices."""

    eta_seconds: float
    """Time that the remaining steps take at this speed."""


class SpeedMeter:
    """Measures over a sliding window of steps. The clock's time comes as an argument."""

    def __init__(self, tokens_per_step: int, train_iters: int) -> None:
        self._tokens_per_step = tokens_per_step
        self._train_iters = train_iters
        self._marks: deque[tuple[int, float]] = deque(maxlen=WINDOW + 1)

    def pause(self) -> None:
        """Forget the past: what follows is not comparable (an evaluation, a checkpoint)."""
        self._marks.clear()

    def mark(self, step: int, now: float) -> Speed | None:
        """Note that `step` ended at `now`, in seconds; return the speed once there is one."""
        self._marks.append((step, now))
        (first, then) = self._marks[0]
        if step <= first or now <= then:
            return None
        steps_per_second = (step - first) / (now - then)
        return Speed(
            tokens_per_second=steps_per_second * self._tokens_per_step,
            eta_seconds=max(0, self._train_iters - step) / steps_per_second,
        )
