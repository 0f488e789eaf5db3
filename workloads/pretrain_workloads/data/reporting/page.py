"""Render `report.html`: what was dropped and why, as one self-contained page."""

from collections.abc import Sequence
from html import escape
from typing import Any

from pretrain_workloads.data.reporting.charts import bar_chart, line_chart
from pretrain_workloads.data.reporting.funnels import DIMENSIONS
from pretrain_workloads.data.rules.registry import step_title

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid #ddd}
table{border-collapse:collapse;width:100%}td,th{padding:.25rem .6rem;text-align:right}
td:first-child,th:first-child{text-align:left}tr:nth-child(even){background:#f6f7f9}
.bar{background:#4a7ebb;height:.8rem;display:inline-block}details{margin:.4rem 0}
pre{white-space:pre-wrap;background:#f6f7f9;padding:.5rem;font-size:13px;margin:.2rem 0 .8rem}
svg{max-width:100%;height:auto;margin:.8rem 0}.why{color:#a33}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem}small{color:#777}
"""


def render_page(name: str, report: dict[str, Any]) -> str:
    """Return the page of a report (`report.json`) of the pipeline `name`."""
    title = escape(name)
    body = [
        _funnel(report["summary"]),
        _warnings(report["summary"]["warnings"]),
        _languages(report),
        *(_origins(dimension, report["funnels"][dimension]) for dimension in DIMENSIONS),
        _distributions(report["funnels"]),
        _losses(report),
        _quarantine(report),
        _scrubbed(report),
        *(_rejects(rule, shown) for rule, shown in report["rejects"].items()),
        _duplicates(report),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style>\n<h1>DataPipeline {title}</h1>\n"
        + "\n".join(body)
        + "\n</html>\n"
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    cells = "".join(f"<th>{cell}</th>" for cell in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>\n" for row in rows)
    return f"<table><tr>{cells}</tr>\n{lines}</table>"


def _funnel(summary: dict[str, Any]) -> str:
    read = summary["read"] or 1
    left, rows = summary["read"], [("documents read", "", f"{summary['read']:,}", _bar(1.0))]
    steps = [
        *((step_title(rule), count) for rule, count in summary["rejected"].items()),
        ("exact duplicates", summary["exactDuplicates"]),
        ("near-duplicates", summary["nearDuplicates"]),
    ]
    for step, dropped in steps:
        left -= dropped
        rows.append((escape(step), f"−{dropped:,}", f"{left:,}", _bar(left / read)))
    return "<h2>Funnel</h2>" + _table(("step", "dropped", "left", ""), rows)


def _bar(share: float) -> str:
    return f'<span class="bar" style="width:{16 * share:.2f}rem"></span>'


def _languages(report: dict[str, Any]) -> str:
    read, kept = report["readByLanguage"], report["summary"]["languages"]
    rows = []
    for language, documents in read["documents"].items():
        stays = kept.get(language, {"documents": 0, "bytes": 0})
        rows.append(
            (
                escape(language),
                f"{documents:,}",
                f"{stays['documents']:,}",
                f"{read['bytes'][language] / 1e6:,.2f}",
                f"{stays['bytes'] / 1e6:,.2f}",
                f"{stays['bytes'] / max(1, read['bytes'][language]):.0%}",
            )
        )
    head = ("language", "read", "kept", "MB read", "MB kept", "kept")
    return "<h2>Languages</h2>" + _table(head, rows)


def _origins(dimension: str, rows: dict[str, dict[str, Any]]) -> str:
    """Return what became of the documents of each source or domain."""
    table = []
    for value, row in rows.items():
        worst = max(row["dropped"].items(), key=lambda item: (item[1], item[0]), default=None)
        cells = (
            escape(value),
            f"{row['read']:,}",
            f"{row['kept']:,}",
            f"{row['bytesRead'] / 1e6:,.2f}",
            f"{row['bytesKept'] / 1e6:,.2f}",
            f"{row['bytesKept'] / max(1, row['bytesRead']):.0%}",
            f"{escape(worst[0])}: {worst[1]:,}" if worst else "",
        )
        table.append(cells)
    head = (dimension, "read", "kept", "MB read", "MB kept", "kept", "dropped most by")
    return f"<h2>By {dimension}</h2>" + _table(head, table)


def _distributions(funnels: dict[str, Any]) -> str:
    """Return charts of length before and after, and of quality."""
    read, kept = funnels["lengths"]["read"], funnels["lengths"]["kept"]
    used = [place for place, count in enumerate(read) if count]
    if not used:
        return ""
    places = range(used[0], used[-1] + 1)
    page = "<h2>Distributions</h2>" + bar_chart(
        [f"{2**place:,}" for place in places],
        [[read[place] for place in places], [kept[place] for place in places]],
        "documents by length: read (light), kept (dark)",
        "characters, up to",
    )
    if funnels["quality"]:
        tenths = [f"{tenth / 10:.1f}" for tenth in range(10)]
        page += bar_chart(tenths, [funnels["quality"]], "kept documents by quality", "score, from")
    return page


def _warnings(warnings: list[str]) -> str:
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f'<h2>Warnings</h2><ul class="why">{items}</ul>' if warnings else ""


def _losses(report: dict[str, Any]) -> str:
    """Return what each step removed of each language, relative to what was read of it."""
    read = report["readByLanguage"]
    rows = [
        (
            escape(step),
            escape(language),
            f"{counts['documents']:,}",
            f"{counts['documents'] / max(1, read['documents'].get(language, 0)):.1%}",
            f"{counts['bytes'] / 1e6:,.2f}",
            f"{counts['bytes'] / max(1, read['bytes'].get(language, 0)):.1%}",
            _bar(counts["bytes"] / max(1, read["bytes"].get(language, 0))),
        )
        for step, by_language in report["losses"].items()
        for language, counts in by_language.items()
    ]
    if not rows:
        return ""
    head = ("step", "language", "documents", "of those read", "MB", "of the bytes read", "")
    return "<h2>What each step removed</h2>" + _table(head, rows)


def _quarantine(report: dict[str, Any]) -> str:
    if not report["quarantined"]:
        return ""
    rows = [(escape(reason), f"{count:,}") for reason, count in report["quarantined"].items()]
    page = "<h2>Unreadable records</h2>" + _table(("reason", "records"), rows)
    for bad in report["firstUnreadable"]:
        where = escape(f"{bad['source']}, {bad['path']}, {bad['position']}: {bad['reason']}")
        page += f"<p>The first: {where}</p><pre>{escape(bad['record'][:400])}</pre>"
    return page + "<p>All of them lie in <code>quarantine/</code>.</p>"


def _scrubbed(report: dict[str, Any]) -> str:
    rows = [(escape(kind), f"{count:,}") for kind, count in report["summary"]["scrubbed"].items()]
    if not rows:
        return ""
    items = "".join(
        f"<p><b>{escape(kind)}</b></p>" + "".join(f"<pre>{escape(place)}</pre>" for place in places)
        for kind, places in report["scrubSamples"].items()
    )
    table = _table(("kind", "found"), rows)
    return f"<h2>Scrubbed</h2>{table}<details><summary>masked places</summary>{items}</details>"


def _rejects(rule: str, shown: list[dict[str, Any]]) -> str:
    items = "".join(
        f'<p><b class="why">{escape(item["reason"])}</b> <small>{escape(item["language"])} · '
        f"{escape(item['source'])} · {escape(item['id'])}</small></p>"
        f"<pre>{escape(item['text'])}</pre>"
        for item in shown
    )
    return (
        f"<h2>Dropped by {escape(step_title(rule))}</h2><details><summary>{len(shown)} of them, "
        f"drawn at random</summary>{items}</details>"
    )


def _duplicates(report: dict[str, Any]) -> str:
    if not report["duplicates"]:
        return ""
    rows = [
        (f"{similarity:.2f}", f"{documents:,}", f"{tokens / 1e6:,.2f}")
        for similarity, documents, tokens in report["curve"]
    ]
    pairs = "".join(
        f"<p><b>{pair['similarity']:.2f}</b> <small>kept {escape(pair['kept']['id'])} · dropped "
        f'{escape(pair["dropped"]["id"])}</small></p><div class="pair">'
        f"<pre>{escape(pair['kept']['text'])}</pre><pre>{escape(pair['dropped']['text'])}</pre>"
        "</div>"
        for pair in report["duplicates"]
    )
    chart = ""
    if len(report["curve"]) > 1:
        points = [(similarity, tokens / 1e6) for similarity, _, tokens in report["curve"]]
        title = "million tokens left, about, by similarity threshold"
        chart = line_chart(points, title, "similarity")
    return (
        "<h2>Near-duplicates</h2>"
        + chart
        + _table(("similarity threshold", "documents left", "million tokens left, about"), rows)
        + f"<details><summary>examples</summary>{pairs}</details>"
    )
