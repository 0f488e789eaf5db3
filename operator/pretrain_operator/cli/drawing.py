"""Draw the curve of a run: in a terminal, as a picture, as a page that needs nothing else."""

from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pretrain_api.problems import InvalidManifest
from pretrain_operator.cli.curve import Curve

_COLORS = {"phase": "#999999", "attempt": "#326ce5", "rollback": "#d9362b"}
_STYLES = {"phase": "dim", "attempt": "blue", "rollback": "bold red"}
_TITLE = "loss (nats per token) over optimizer steps"


def show_curve(console: Console, curve: Curve) -> None:
    """Print the curve, and below it the held-out losses and what happened."""
    console.print(Text(f"{curve.name}: {curve.headline}", style="bold"), soft_wrap=True)
    if len(curve.points) > 1:
        console.file.write(_terminal_plot(curve, console.width) + "\n")
    else:
        console.print("fewer than two steps are reported so far", style="dim")
    if curve.losses:
        console.print(_loss_table(curve))
    for mark in curve.marks:
        line = Text(f"step {mark.step:,}: {mark.text}", style=_STYLES[mark.kind])
        console.print(line, soft_wrap=True)


def write_png(curve: Curve, path: Path) -> None:
    """Write the curve as a picture.

    Raises:
        InvalidManifest: If the library for it is not installed.
        OSError: If the file cannot be written.
    """
    figure = _figure(curve)
    figure.savefig(path, dpi=120, format="png")


def write_page(curve: Curve, path: Path) -> None:
    """Write the curve as an HTML page with everything in it.

    Raises:
        InvalidManifest: If the library for it is not installed.
        OSError: If the file cannot be written.
    """
    drawn = StringIO()
    _figure(curve).savefig(drawn, format="svg")
    picture = drawn.getvalue()
    picture = picture[picture.index("<svg") :]
    losses = "".join(
        f"<tr><td>{escape(one.name)}</td>"
        + "".join(f"<td>{_number(value)}</td>" for value in _values(one))
        + "</tr>"
        for one in curve.losses
    )
    marks = "".join(
        f'<tr><td>{mark.step:,}</td><td style="color:{_COLORS[mark.kind]}">{escape(mark.text)}'
        "</td></tr>"
        for mark in curve.marks
    )
    headers = "".join(f"<th>{escape(name)}</th>" for name in ("held-out loss", *_HEADERS))
    path.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<title>{escape(curve.name)}</title><style>{_STYLE}</style>"
        f"<h1>{escape(curve.name)}</h1><p>{escape(curve.headline)}</p>{picture}"
        f"<table><tr>{headers}</tr>{losses}</table>"
        f"<table><tr><th>step</th><th>what happened</th></tr>{marks}</table></html>\n",
        encoding="utf-8",
    )


_HEADERS = ("perplexity before", "perplexity", "bits/byte before", "bits/byte")
_STYLE = (
    "body{font:15px system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#222}svg{width:100%;height:auto}table{border-collapse:collapse;margin:1rem 0}"
    "td,th{padding:.2rem .8rem;text-align:left;border-bottom:1px solid #ddd}"
)


def _values(loss: Any) -> tuple[float | None, ...]:
    return (
        loss.initial_perplexity,
        loss.perplexity,
        loss.initial_bits_per_byte,
        loss.bits_per_byte,
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"


def _loss_table(curve: Curve) -> Table:
    table = Table(box=None, padding=(0, 1))
    table.add_column("held-out loss")
    for header in _HEADERS:
        table.add_column(header, justify="right")
    for one in curve.losses:
        table.add_row(one.name, *(_number(value) for value in _values(one)))
    return table


def _terminal_plot(curve: Curve, width: int) -> str:
    plotext = _library("plotext")
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(max(40, min(width, 120)), 18)
    plotext.plot([p.step for p in curve.points], [p.loss for p in curve.points], marker="braille")
    first, last = curve.points[0].step, curve.points[-1].step
    for mark in curve.marks:
        if mark.kind != "phase" and first <= mark.step <= last:
            plotext.vline(mark.step)
    ticks = [round(first + (last - first) * place / 4) for place in range(5)]
    plotext.xticks(ticks, [f"{tick:,}" for tick in ticks])
    plotext.title(_TITLE)
    text: str = plotext.uncolorize(plotext.build())
    return text


def _figure(curve: Curve) -> Any:
    """Return the picture of a curve, drawn without a display."""
    _library("matplotlib")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.8), layout="constrained")
    axes = figure.subplots()
    axes.plot([p.step for p in curve.points], [p.loss for p in curve.points], color="#222222")
    for mark in curve.marks:
        style = "-" if mark.kind == "rollback" else "--" if mark.kind == "attempt" else ":"
        axes.axvline(mark.step, color=_COLORS[mark.kind], linestyle=style, linewidth=1)
    axes.set(xlabel="optimizer step", ylabel="loss (nats per token)", title=curve.name)
    axes.grid(alpha=0.3)
    return figure


def _library(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise InvalidManifest(
            [f"curves need {name}: pip install 'pretrain-operator[operator,plots]'"]
        ) from None
