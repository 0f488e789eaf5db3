import re
from typing import Any
from xml.etree import ElementTree

from pretrain_workloads.data.reporting.page import render_page

REPORT: dict[str, Any] = {
    "summary": {
        "read": 10,
        "kept": 6,
        "rejected": {"1-length": 2},
        "exactDuplicates": 1,
        "nearDuplicates": 1,
        "languages": {"zh": {"documents": 6, "characters": 9, "bytes": 27}},
        "scrubbed": {"emails": 3},
        "warnings": ["rule 1-length removed 50% of the bytes in zh: <look>"],
    },
    "scrubSamples": {"emails": ["write to <email> today"]},
    "losses": {"1-length": {"zh": {"documents": 2, "bytes": 18}}},
    "readByLanguage": {"documents": {"zh": 10}, "characters": {"zh": 12}, "bytes": {"zh": 36}},
    "quarantined": {"invalid JSON": 1},
    "firstUnreadable": [
        {"source": "s", "path": "p", "position": "line-1", "reason": "r", "record": "<b>"}
    ],
    "rejects": {
        "1-length": [
            {"id": "a", "language": "zh", "source": "s", "reason": "short", "text": "<script>"}
        ]
    },
    "funnels": {
        "source": {
            "web<2>": {
                "read": 10,
                "kept": 6,
                "bytesRead": 4_000_000,
                "bytesKept": 1_000_000,
                "dropped": {"1-length": 2, "near": 1},
            }
        },
        "domain": {},
        "lengths": {"read": [0, 0, 4, 6, 0], "kept": [0, 0, 1, 5, 0]},
        "quality": [0, 0, 0, 1, 0, 0, 0, 2, 0, 3],
    },
    "curve": [(1.0, 7, 700), (0.8, 6, 600)],
    "duplicates": [
        {"similarity": 0.9, "kept": {"id": "k", "text": "x"}, "dropped": {"id": "d", "text": "y"}}
    ],
}


def test_the_page_shows_the_funnel_and_escapes_text() -> None:
    page = render_page("web<1>", REPORT)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "web&lt;1&gt;" in page
    for step in ("rule 1-length", "exact duplicates", "near-duplicates"):
        assert f"<td>{step}</td>" in page
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")


def test_the_page_shows_warnings_and_what_each_step_removed_of_each_language() -> None:
    page = render_page("web", REPORT)
    assert "removed 50% of the bytes in zh: &lt;look&gt;" in page
    row = "<td>1-length</td><td>zh</td><td>2</td><td>20.0%</td><td>0.00</td><td>50.0%</td>"
    assert row in page
    assert "write to &lt;email&gt; today" in page
    assert "Warnings" not in render_page("web", REPORT | {"summary": SILENT})


def test_the_page_shows_sources_with_what_dropped_most() -> None:
    page = render_page("web", REPORT)
    row = "<td>web&lt;2&gt;</td><td>10</td><td>6</td><td>4.00</td><td>1.00</td><td>25%</td>"
    assert f"{row}<td>1-length: 2</td>" in page


def test_charts_are_drawn_in_the_page_and_are_well_formed() -> None:
    page = render_page("web", REPORT)
    charts = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(charts) == 3
    for chart in charts:
        ElementTree.fromstring(chart)
    assert "http" not in page, "nothing is loaded from elsewhere"
    silent = REPORT["funnels"] | {"lengths": {"read": [0], "kept": [0]}, "quality": []}
    assert "Distributions" not in render_page("web", REPORT | {"funnels": silent})


SILENT: dict[str, Any] = dict(REPORT["summary"], warnings=[])
