"""Logs: where their last lines begin."""

from pathlib import Path

import pytest

from pretrain_local.node.logs import tail_offset


@pytest.mark.parametrize(
    ("text", "lines", "want"),
    [
        ("a\nb\nc\n", 2, "b\nc\n"),
        ("a\nb\nc", 2, "b\nc"),
        ("a\nb\n", 5, "a\nb\n"),
        ("a\nb\n", 0, ""),
        ("", 3, ""),
        ("a\n", None, "a\n"),
        ("x" * 70_000 + "\ny\n", 1, "y\n"),
    ],
)
def test_the_tail_of_a_log(tmp_path: Path, text: str, lines: int | None, want: str) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    assert text[tail_offset(path, lines) :] == want
