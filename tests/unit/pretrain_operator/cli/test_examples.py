"""The examples are accepted as they are, and their runs can be planned."""

from pathlib import Path

import pytest

from pretrain_operator.cli.main import main

EXAMPLES = sorted(p for p in (Path(__file__).parents[4] / "examples").iterdir() if p.is_dir())


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_an_example_is_accepted_with_nothing_left_unchecked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("validate", "plan"):
        assert main([command, "-f", str(folder)]) == 0
        output = "".join(capsys.readouterr())
        assert "not checked" not in output
        assert "assumed" not in output
    assert "to finish" in output or "cpu" in (folder / "1-profile.yaml").read_text()
