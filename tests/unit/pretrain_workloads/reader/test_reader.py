"""The programs of a reader's pod: what they print, and how they fail."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pretrain_api.reports import READING_BEGINS, READING_ENDS, ExitReport
from pretrain_workloads.reader.file import MAX_FILE_BYTES

ARTIFACT = {"uri": "file:///pretrain/data/thing", "digest": "d" * 64}


def read(root: Path, what: str, **run: Any) -> tuple[str, ExitReport]:
    """Run a reader in a folder like a pod's `/pretrain`; return its log and its report."""
    (root / "spec").mkdir(exist_ok=True)
    document = {"name": "thing", "namespace": "default", **run}
    (root / "spec/spec.json").write_text(json.dumps(document))
    ended = subprocess.run(
        [sys.executable, "-m", "pretrain_workloads.reader", what],
        env={"PRETRAIN_ROOT": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    report = ExitReport.model_validate_json((root / "termination-log").read_bytes())
    return ended.stdout.decode(), report


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "data/thing").mkdir(parents=True)
    return tmp_path


def test_a_file_is_printed_between_two_lines_and_nothing_else_is(root: Path) -> None:
    text = "<html>床前明月光\n\n</html>\n"
    (root / "data/thing/report.html").write_text(text)
    log, report = read(root, "file", artifact=ARTIFACT, path="report.html")
    assert log == f"{READING_BEGINS}\n{text}\n{READING_ENDS}\n"
    assert report.counts == {"bytes": len(text.encode())}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "report.html: does not exist"),
        (b"\xff\xfe", "report.html: is no text"),
        (b"x" * (MAX_FILE_BYTES + 1), "report.html: 8,000,001 bytes are too many for a log"),
    ],
)
def test_a_file_that_cannot_be_printed_is_named(
    content: bytes | None, message: str, root: Path
) -> None:
    if content is not None:
        (root / "data/thing/report.html").write_bytes(content)
    log, report = read(root, "file", artifact=ARTIFACT, path="report.html")
    assert message in report.message
    assert READING_BEGINS not in log


def test_a_run_without_a_checkpoint_cannot_be_audited(root: Path) -> None:
    _, report = read(root, "audit", run=ARTIFACT, dataset=ARTIFACT, seed=1)
    assert "holds no checkpoint yet" in report.message
