"""Progress of the demo: a live table on a terminal, one line for each change in a log."""

import math
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pretrain_api.v1alpha1.data_status import DataStatus
from pretrain_api.v1alpha1.pretrainjob import PretrainJobStatus
from pretrain_local.demo.snapshots import ObjectSnapshot

_LINE_SECONDS = 5.0
"""Shortest time between two lines about one object, in a log."""
_SPARKS = "▁▂▃▄▅▆▇█"
_STYLES = {"Complete": "green", "Ready": "green", "Failed": "red", "Pending": "dim"}


def render(objects: Sequence[ObjectSnapshot], elapsed_seconds: float) -> RenderableType:
    """Return a table of `objects`, `elapsed_seconds` after the manifests were applied."""
    table = Table(expand=True, box=None, padding=(0, 1))
    for header, width in (("object", 34), ("phase", 11), ("progress", 26)):
        table.add_column(header, width=width, no_wrap=True)
    table.add_column("what happens")
    for one in objects:
        phase = one.status.phase if one.status else "Pending"
        done, total = progress(one)
        bar: RenderableType = ProgressBar(total=max(total, 1), completed=done, width=24)
        name = Text.assemble((f"{one.kind}/", "dim"), one.name)
        table.add_row(name, Text(phase, _STYLES.get(phase, "yellow")), bar, describe(one))
    clock = Text(f"{elapsed_seconds:5.0f} s since kubectl apply", style="dim")
    return Group(table, clock)


def progress(one: ObjectSnapshot) -> tuple[float, float]:
    """Return the completed and the total units of an object's work."""
    if isinstance(one.status, PretrainJobStatus):
        run = one.status.progress
        return (run.step, run.total_steps) if run else (0, 1)
    if one.status is None or one.is_true("Ready"):
        return (1, 1) if one.status else (0, 1)
    stages = one.status.stages
    return sum(s.succeeded for s in stages), sum(s.tasks for s in stages)


def describe(one: ObjectSnapshot) -> str:
    """Return one line about the current state of an object."""
    if isinstance(one.status, PretrainJobStatus):
        return _describe_run(one.status)
    if isinstance(one.status, DataStatus):
        return _describe_stages(one.status)
    return "waiting for the operator"


def _describe_stages(status: DataStatus) -> str:
    if status.artifact is not None and status.phase in ("Ready", "Complete"):
        return ("reused: " if status.reused else "") + status.message
    running = [s for s in status.stages if s.succeeded < s.tasks]
    if not running:
        return status.message
    stage = running[0]
    counts = "  ".join(f"{name} {count:,}" for name, count in sorted(stage.counts.items()))
    return f"{stage.name} {stage.succeeded}/{stage.tasks}  {counts}".strip()


def _describe_run(status: PretrainJobStatus) -> str:
    run = status.progress
    if run is None or run.loss is None or status.phase in ("Complete", "Failed"):
        return status.message
    parts = [f"{run.phase}: step {run.step}/{run.total_steps}", f"loss {run.loss:.3f}"]
    if run.tokens_per_second_per_gpu:
        parts.append(f"{run.tokens_per_second_per_gpu:,.0f} tokens/s per process")
    if run.eta_seconds is not None:
        parts.append(f"ETA {run.eta_seconds:.0f} s")
    return "  ".join([*parts, spark([point.loss for point in run.curve])])


def spark(values: Sequence[float], width: int = 16) -> str:
    """Return a sparkline of the last `width` values."""
    shown = list(values)[-width:]
    if len(shown) < 2:
        return ""
    low, high = min(shown), max(shown)
    # Divided before it is scaled: the inverse of a very small range is infinite.
    shares = [(value - low) / (high - low) if high > low else 0.0 for value in shown]
    return "".join(_SPARKS[round(share * (len(_SPARKS) - 1))] for share in shares)


class LineView:
    """Prints one line for each object whose description has changed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._printed: dict[str, tuple[float, str]] = {}

    def __call__(self, objects: Sequence[ObjectSnapshot], elapsed_seconds: float) -> None:
        """Print the changes since the last call."""
        for one in objects:
            name, line = f"{one.kind}/{one.name}", describe(one)
            at, last = self._printed.get(name, (-math.inf, ""))
            has_ended = one.is_true("Ready") or one.is_true("Stalled")
            if line != last and (has_ended or elapsed_seconds - at >= _LINE_SECONDS):
                self._printed[name] = (elapsed_seconds, line)
                text = f"{elapsed_seconds:6.1f} s  {name}: {line}"
                self._console.print(text, highlight=False, markup=False, soft_wrap=True)
