"""The live picture of the demo: a table row for each object, from a snapshot of their statuses."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pretrain_api.v1alpha1.data_status import DataStatus
from pretrain_api.v1alpha1.pretrainjob import PretrainJobStatus
from pretrain_local.demo.objects import Seen

_SPARKS = "▁▂▃▄▅▆▇█"
_STYLES = {"Complete": "green", "Ready": "green", "Failed": "red", "Pending": "dim"}


def render(objects: Sequence[Seen], elapsed_seconds: float) -> RenderableType:
    """Return the picture of `objects`, `elapsed_seconds` after the manifests were applied."""
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


def progress(one: Seen) -> tuple[float, float]:
    """Return how much of an object's work is done, and how much there is."""
    if isinstance(one.status, PretrainJobStatus):
        seen = one.status.progress
        return (seen.step, seen.total_steps) if seen else (0, 1)
    if one.status is None or one.is_true("Ready"):
        return (1, 1) if one.status else (0, 1)
    stages = one.status.stages
    return sum(s.succeeded for s in stages), sum(s.tasks for s in stages)


def describe(one: Seen) -> str:
    """Return one line about what happens to an object now."""
    if isinstance(one.status, PretrainJobStatus):
        return _describe_run(one.status)
    if isinstance(one.status, DataStatus):
        return _describe_work(one.status)
    return "waiting for the operator"


def _describe_work(status: DataStatus) -> str:
    if status.artifact is not None and status.phase in ("Ready", "Complete"):
        return ("reused: " if status.reused else "") + status.message
    running = [s for s in status.stages if s.succeeded < s.tasks]
    if not running:
        return status.message
    stage = running[0]
    counts = "  ".join(f"{name} {count:,}" for name, count in sorted(stage.counts.items()))
    return f"{stage.name} {stage.succeeded}/{stage.tasks}  {counts}".strip()


def _describe_run(status: PretrainJobStatus) -> str:
    seen = status.progress
    if seen is None or seen.loss is None or status.phase in ("Complete", "Failed"):
        return status.message
    parts = [f"{seen.phase}: step {seen.step}/{seen.total_steps}", f"loss {seen.loss:.3f}"]
    if seen.tokens_per_second_per_gpu:
        parts.append(f"{seen.tokens_per_second_per_gpu:,.0f} tokens/s per process")
    if seen.eta_seconds is not None:
        parts.append(f"ETA {seen.eta_seconds:.0f} s")
    return "  ".join([*parts, spark([point.loss for point in seen.curve])])


def spark(values: Sequence[float], width: int = 16) -> str:
    """Return a line of bars for the newest `width` of `values`."""
    shown = list(values)[-width:]
    if len(shown) < 2:
        return ""
    low, high = min(shown), max(shown)
    scale = (len(_SPARKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_SPARKS[round((value - low) * scale)] for value in shown)
