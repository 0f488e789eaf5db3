"""The loss curve of a run of any length, in a bounded number of points."""

from pretrain_api.v1alpha1.progress import CurvePoint

MAX_POINTS = 64
"""Points of the curve in `Progress`."""


class LossCurve:
    """Keeps every point up to `MAX_POINTS`, then every second, every fourth, …

    Which points are kept depends on the steps only: a resumed run has the points of an
    uninterrupted one, and also those where it was interrupted.
    """

    def __init__(self, points: list[CurvePoint] | None = None) -> None:
        self._points = list(points or [])
        self._newest = self._points[-1] if self._points else None
        self._stride = 1
        self._thin()

    def add(self, step: int, loss: float) -> None:
        """Add the loss of `step`, which must be greater than all steps before."""
        self._newest = CurvePoint(step=step, loss=loss)
        if step % self._stride == 0 or not self._points:
            self._points.append(self._newest)
            self._thin()

    @property
    def points(self) -> list[CurvePoint]:
        """Return the first point, evenly spread ones, and the newest."""
        tail = [] if self._newest is None or self._newest in self._points[-1:] else [self._newest]
        return [*self._points, *tail]

    def _thin(self) -> None:
        while len(self._points) >= MAX_POINTS:
            self._stride *= 2
            first, *rest = self._points
            self._points = [first, *(p for p in rest if p.step % self._stride == 0)]


def shortened(points: list[CurvePoint], at_most: int) -> list[CurvePoint]:
    """Return at most `at_most` of `points`, with the first and the last, evenly spread."""
    if len(points) <= at_most:
        return points
    last = len(points) - 1
    return [points[round(index * last / (at_most - 1))] for index in range(at_most)]
