"""Results of a finished demo: tables, the loss curve (plot and PNG), the model's samples."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pretrain_api.v1alpha1.data_status import DataStatus
from pretrain_api.v1alpha1.pretrainjob import PretrainJobStatus
from pretrain_api.v1alpha1.progress import CurvePoint, TrainingSummary
from pretrain_local.demo.snapshots import SHOWN_KINDS, ObjectSnapshot
from pretrain_local.kubectl import Kubectl


def show(
    console: Console, kubectl: Kubectl, objects: Sequence[ObjectSnapshot], folder: Path
) -> None:
    """Print the results of a finished demo; write pictures to `folder`."""
    profiles = kubectl.run("get", "computeprofiles")
    console.print("\n[bold]$ kubectl get computeprofiles[/]", highlight=False)
    _print_verbatim(console, profiles)
    for kind in SHOWN_KINDS:
        table = kubectl.run("get", kind.plural)
        console.print(f"\n[bold]$ kubectl get {kind.plural}[/]", highlight=False)
        _print_verbatim(console, table)
    console.print()
    console.print(stage_table(objects))
    for one in objects:
        if isinstance(one.status, PretrainJobStatus):
            _show_run(console, one.name, one.status, folder)


def stage_table(objects: Sequence[ObjectSnapshot]) -> Table:
    """Return the wall time and peak memory of every stage that ran."""
    table = Table(title="stages", title_justify="left")
    table.add_column("object")
    table.add_column("stage")
    for header in ("tasks", "seconds", "peak MB"):
        table.add_column(header, justify="right")
    for one in objects:
        if isinstance(one.status, DataStatus):
            for stage in one.status.stages:
                memory = f"{stage.peak_memory_bytes / 1e6:,.0f}"
                row = (one.name, stage.name, str(stage.tasks), f"{stage.seconds:.1f}", memory)
                table.add_row(*row)
    return table


def plot(points: Sequence[CurvePoint], path: Path) -> None:
    """Write the loss curve as a PNG."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    axes.plot([p.step for p in points], [p.loss for p in points], marker=".", color="#326ce5")
    axes.set(xlabel="optimizer step", ylabel="loss (nats per token)", title="Training loss")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def terminal_plot(points: Sequence[CurvePoint], width: int) -> str:
    """Return the loss curve as lines of text."""
    import plotext

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(min(width, 100), 16)
    plotext.plot([p.step for p in points], [p.loss for p in points], marker="braille")
    plotext.title("training loss (nats per token) over optimizer steps")
    text: str = plotext.uncolorize(plotext.build())
    return text


def _show_run(console: Console, name: str, status: PretrainJobStatus, folder: Path) -> None:
    curve = status.progress.curve if status.progress else []
    if len(curve) > 1:
        picture = folder / f"{name}-loss.png"
        plot(curve, picture)
        _print_verbatim(console, terminal_plot(curve, console.width))
        console.print(f"loss curve: {picture}")
    summary = status.summary
    if summary is None:
        return
    if summary.initial_perplexity is not None and summary.perplexity is not None:
        console.print(
            f"perplexity on held-out text: [bold]{summary.initial_perplexity:,.0f}[/] before, "
            f"[bold]{summary.perplexity:,.1f}[/] after {summary.tokens:,} tokens{_bits(summary)} "
            f"({summary.parameters / 1e6:.1f} M parameters)",
            soft_wrap=True,
        )
    for continuation in summary.continuations:
        console.print("\n[dim]prompt, and what the model makes of it:[/]")
        console.print(f"[bold]{continuation.prompt}[/]", end="", highlight=False)
        console.print(continuation.text, markup=False, highlight=False)
    if summary.export is not None:
        console.print(f"\nHugging Face model: {summary.export.uri}", highlight=False)


def _bits(summary: TrainingSummary) -> str:
    if summary.initial_bits_per_byte is None or summary.bits_per_byte is None:
        return ""
    before, after = summary.initial_bits_per_byte, summary.bits_per_byte
    return f"; bits per byte: {before:.2f} before, {after:.2f} after"


def _print_verbatim(console: Console, text: str) -> None:
    console.print(text.rstrip(), markup=False, highlight=False, soft_wrap=True)
