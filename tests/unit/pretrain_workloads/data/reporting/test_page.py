from pretrain_workloads.data.reporting.page import render_page

REPORT = {
    "summary": {
        "read": 10,
        "kept": 6,
        "rejected": {"1-length": 2},
        "exactDuplicates": 1,
        "nearDuplicates": 1,
        "languages": {"zh": {"documents": 6, "characters": 9, "bytes": 27}},
    },
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
