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

    def __init__(self, total_tokens: int) -> None:
        self._total_tokens = total_tokens
        self._marks: deque[tuple[int, float]] = deque(maxlen=WINDOW + 1)

    def pause(self) -> None:
        """Forget the steps so far: the time until the next mark is not training."""
        self._marks.clear()

    def mark(self, tokens: int, now: float) -> Speed | None:
        """Record that a step ended at `now`, in seconds; return the speed, once it is known.

        Args:
            tokens: Tokens that all steps so far have consumed.
            now: The time, in seconds.
        """
        self._marks.append((tokens, now))
        first, began = self._marks[0]
        if tokens <= first or now <= began:
            return None
        speed = (tokens - first) / (now - began)
        return Speed(
            tokens_per_second=speed, eta_seconds=max(0, self._total_tokens - tokens) / speed
        )
