"""Finds spikes of the loss: steps whose loss or gradient lies far above those before them.

A step is suspicious if its loss or the norm of its gradient lies more than `sigma` robust standard
deviations above the median of the window, and by a share that matters: with large batches six
standard deviations are little. One such step may be an odd batch, against which the gradient is
clipped; several in a row are a spike.
"""

import math
from statistics import median

from pretrain_api.meta import ApiModel, NonNegative

STEPS_OF_A_SPIKE = 3
"""Suspicious steps in a row that make a spike."""

_LOSS, _NORM = (0.1, 0.05), (2.0, 1e-3)
"""How far above its median a suspicious loss or norm lies at least: as a share of the median, and
in nats or as a norm. Of memorised text both are next to nothing, and any batch lies far above."""

_SIGMA_OF_MAD = 1.4826
"""Standard deviation of a normal distribution, in units of the median absolute deviation
(Rousseeuw and Croux 1993, section 1).
"""


class SpikeState(ApiModel):
    """What the detector remembers between steps; part of a checkpoint."""

    losses: list[float] = []
    """Losses of the last steps that were not suspicious, oldest first."""

    norms: list[float] = []
    """Norms of their gradients."""

    suspicious: NonNegative = 0
    """Suspicious steps since."""


class SpikeDetector:
    """Judges each step by a window of steps before it. The same values give the same answer.

    Args:
        sigma: Robust standard deviations beyond which a step is suspicious.
        window: Steps that are compared with; until there are so many, nothing is suspicious.
    """

    def __init__(self, sigma: float, window: int) -> None:
        self._sigma, self._window = sigma, window
        self.restore(SpikeState())

    def restore(self, state: SpikeState) -> None:
        """Go on from what an earlier attempt remembered."""
        self._losses = state.losses[-self._window :]
        self._norms = state.norms[-self._window :]
        self._suspicious = state.suspicious

    @property
    def state(self) -> SpikeState:
        """Return what a resumed run needs to go on in the same way."""
        return SpikeState(
            losses=list(self._losses), norms=list(self._norms), suspicious=self._suspicious
        )

    def add(self, loss: float, norm: float) -> str | None:
        """Add a step, and describe the spike that it completes, if it does.

        After a spike the window starts anew: a run that goes on has another normal then.
        """
        if len(self._losses) == self._window:
            found = [
                _describe_excess("loss", loss, self._losses, self._sigma, _LOSS),
                _describe_excess("gradient's norm", norm, self._norms, self._sigma, _NORM),
            ]
            if excess := [one for one in found if one]:
                self._suspicious += 1
                if self._suspicious < STEPS_OF_A_SPIKE:
                    return None
                self._losses, self._norms, self._suspicious = [], [], 0
                return " and ".join(excess)
        self._suspicious = 0
        self._losses = [*self._losses, loss][-self._window :]
        self._norms = [*self._norms, norm][-self._window :]
        return None


def _describe_excess(
    name: str, value: float, window: list[float], sigma: float, least: tuple[float, float]
) -> str | None:
    """Return how far `value` lies above the window, if that is suspicious."""
    middle = median(window)
    deviation = _SIGMA_OF_MAD * median(abs(one - middle) for one in window)
    excess = value - middle
    share, amount = least
    if excess <= max(share * abs(middle), amount, sigma * deviation):
        return None
    scores = f"{excess / deviation:.1f}" if deviation > 0.0 else f"{math.inf}"
    return f"the {name} is {value:.4g}, {scores} sigma above its median of {middle:.4g}"
