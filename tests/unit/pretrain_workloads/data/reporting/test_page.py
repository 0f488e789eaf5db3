from typing import Any

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


SILENT: dict[str, Any] = dict(REPORT["summary"], warnings=[])
