"""Charts of the report as SVG in the page itself: no script, nothing to load."""

from collections.abc import Sequence
from html import escape

_WIDTH, _HEIGHT = 640, 220
_LEFT, _BOTTOM = 56, 34
_COLORS = ("#b9cbe3", "#2f6db3")


def line_chart(points: Sequence[tuple[float, float]], title: str, across: str) -> str:
    """Return a line through `points`, in the order of their first values.

    Args:
        points: At least two points; values up are at least 0.
        title: What is shown.
        across: What the first values are.
    """
    ordered = sorted(points)
    low, high = ordered[0][0], ordered[-1][0]
    top = max(value for _, value in ordered) or 1.0
    span = (high - low) or 1.0
    places = [
        (_LEFT + (x - low) / span * (_WIDTH - _LEFT - 12), _up(value, top)) for x, value in ordered
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    labels = "".join(
        _text(x, _HEIGHT - 16, f"{value:g}", "middle")
        for (x, _), (value, _) in list(zip(places, ordered, strict=True))[:: _every(len(ordered))]
    )
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in places)
    drawn = f'<polyline points="{path}" fill="none" stroke="{_COLORS[1]}" stroke-width="2"/>{dots}'
    return _frame(drawn + labels, top, title, across)


def bar_chart(
    labels: Sequence[str], series: Sequence[Sequence[float]], title: str, across: str
) -> str:
    """Return bars: those of a later series lie before those of an earlier one.

    Args:
        labels: A label for each place.
        series: One or two series of values, one value for each label.
        title: What is shown.
        across: What the labels are.
    """
    top = max((value for values in series for value in values), default=0) or 1.0
    step = (_WIDTH - _LEFT - 12) / max(1, len(labels))
    bars = "".join(
        f'<rect x="{_LEFT + place * step + 1:.1f}" y="{_up(value, top):.1f}" '
        f'width="{step - 2:.1f}" height="{_HEIGHT - _BOTTOM - _up(value, top):.1f}" '
        f'fill="{color}"><title>{escape(labels[place])}: {value:,.0f}</title></rect>'
        for color, values in zip(_COLORS[-len(series) :], series, strict=True)
        for place, value in enumerate(values)
    )
    names = "".join(
        _text(_LEFT + (place + 0.5) * step, _HEIGHT - 16, label, "middle")
        for place, label in enumerate(labels)
        if place % _every(len(labels)) == 0
    )
    return _frame(bars + names, top, title, across)


def _every(count: int) -> int:
    """Return how many labels share the room of one."""
    return max(1, -(-count // 12))


def _up(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _BOTTOM - 26)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _frame(drawn: str, top: float, title: str, across: str) -> str:
    axis = _HEIGHT - _BOTTOM
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}" '
        f'font-size="11" fill="#444">{_text(_LEFT, 14, title, "start")}'
        f'<path d="M{_LEFT},26V{axis}H{_WIDTH - 8}" fill="none" stroke="#999"/>'
        f"{_text(_LEFT - 6, 32, _short(top), 'end')}{_text(_LEFT - 6, axis, '0', 'end')}"
        f"{_text(_WIDTH - 8, _HEIGHT - 3, across, 'end')}{drawn}</svg>"
    )


def _short(value: float) -> str:
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g}"
