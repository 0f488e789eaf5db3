"""`kubectl pretrain curve`: in the terminal, as a picture, as a page."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from answering_server import serve, use_server
from builders import run_spec
from pretrain_operator.cli.main import ACCEPTED, UNUSABLE, main

LOSSES = [11.0 / (1 + step / 300) + 2.0 for step in range(0, 1600, 25)]

STATUS: dict[str, Any] = {
    "phase": "Running",
    "attempts": [
        {"number": 1, "job": "run-a1", "reason": "infrastructure", "toStep": 560, "lostSteps": 60},
        {"number": 2, "job": "run-a2", "reason": "lossSpike", "fromStep": 500, "toStep": 1203},
        {"number": 3, "job": "run-a3", "fromStep": 1100},
    ],
    "progress": {
        "step": 1575,
        "totalSteps": 2000,
        "tokens": 206_438_400,
        "loss": LOSSES[-1],
        "etaSeconds": 7300.0,
        "curve": [{"step": 25 * n, "loss": loss} for n, loss in enumerate(LOSSES)],
        "rollbacks": [
            {
                "cause": "lossSpike",
                "attempt": 2,
                "step": 1203,
                "block": 7,
                "resumeStep": 1100,
                "firstSample": 35_328,
                "samples": 3232,
                "at": "2026-01-01T00:00:00+00:00",
            }
        ],
        "validation": [
            {"name": "<zh>", "perplexity": 24.5, "initialPerplexity": 31_234.0},
            {"name": "other", "perplexity": 12.5, "bitsPerByte": 1.1},
        ],
    },
}


@pytest.fixture
def job() -> dict[str, Any]:
    return {"metadata": {"name": "run", "uid": "u"}, "spec": run_spec(), "status": STATUS}


def test_the_terminal_shows_the_curve_the_held_out_losses_and_what_happened(
    job: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serve({"pretrainjobs": 200}, job) as port:
        use_server(monkeypatch, tmp_path, port)
        assert main(["curve", "run"]) == ACCEPTED
    shown = capsys.readouterr().out
    assert "Running, step 1,575 of 2,000, 206,438,400 tokens, loss " in shown
    assert "2.0 hours left" in shown
    assert "loss (nats per token) over optimizer steps" in shown
    assert "31,234" in shown
    assert "step 500: attempt 2 goes on; the last one ended: infrastructure" in shown
    assert "step 1,100: attempt 3 goes on; the last one ended: lossSpike" in shown
    assert "step 1,203: lossSpike in block 7: back to step 1100, without 3,232 samples" in shown


def test_a_picture_and_a_page_without_links_are_written(
    job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    png, page = tmp_path / "curve.png", tmp_path / "curve.html"
    with serve({"pretrainjobs": 200}, job) as port:
        use_server(monkeypatch, tmp_path, port)
        assert main(["curve", "run", "--png", str(png), "--html", str(page)]) == ACCEPTED
    assert png.read_bytes().startswith(b"\x89PNG")
    text = page.read_text(encoding="utf-8")
    svg = ElementTree.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])
    assert len(list(svg.iter("{http://www.w3.org/2000/svg}path"))) > 10
    assert "&lt;zh&gt;" in text
    assert "src=" not in text
    assert "<script" not in text


def test_a_run_that_has_not_started_has_no_curve_and_a_file_that_cannot_be_written_is_named(
    job: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    del job["status"]
    with serve({"pretrainjobs": 200}, job) as port:
        use_server(monkeypatch, tmp_path, port)
        assert main(["curve", "run"]) == ACCEPTED
        assert "fewer than two steps are reported so far" in capsys.readouterr().out
        assert main(["curve", "run", "--png", str(tmp_path / "no/folder.png")]) == UNUSABLE
    assert "no/folder.png: No such file or directory" in capsys.readouterr().err
