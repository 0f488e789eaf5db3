"""The examples are accepted as they are, their runs can be planned, and their table is right."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pretrain_operator.cli.main import main
from pretrain_operator.planner.descriptions import duration_text, gib

ROOT = Path(__file__).parents[4] / "examples"
EXAMPLES = sorted(path.parent for path in ROOT.glob("*/kustomization.yaml"))
PAGE = ROOT / "README.md"
BEGIN, END = "<!-- planned: `pytest --update-snapshots` -->\n", "<!-- end of planned -->"


def files(folder: Path) -> list[str]:
    """Return the options that name an example, and the one that it builds on."""
    text = (folder / "kustomization.yaml").read_text(encoding="utf-8")
    below = [name for name in yaml.safe_load(text)["resources"] if name.startswith("../")]
    return [
        word for path in (folder, *(folder / name for name in below)) for word in ("-f", f"{path}")
    ]


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_an_example_is_accepted_with_nothing_left_unchecked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("validate", "plan"):
        assert main([command, *files(folder)]) == 0
        output = "".join(capsys.readouterr())
        assert "not checked" not in output
        assert "assumed" not in output
    assert "to finish" in output


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_kustomize_finds_every_file_of_an_example(folder: Path) -> None:
    text = (folder / "kustomization.yaml").read_text(encoding="utf-8")
    named = {name for name in yaml.safe_load(text)["resources"] if not name.startswith("../")}
    assert named == {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}


def test_the_table_says_what_the_planner_predicts(
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    rows = [row(folder, capsys) for folder in EXAMPLES]
    head = "| example | parameters | devices | layout | memory of a device | tokens | time |\n"
    table = head + "|---|---|---|---|---|---|---|\n" + "".join(f"{row}\n" for row in rows)
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    planned, after = rest.split(END)
    if request.config.getoption("--update-snapshots"):
        PAGE.write_text(f"{before}{BEGIN}{table}{END}{after}", encoding="utf-8")
        planned = table
    assert planned == table


def row(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the row of an example."""
    assert main(["plan", *files(folder), "-o", "json"]) == 0
    results: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    result = next(one for one in results if one.get("plan") and folder.name in one["file"])
    plan = result["plan"]
    degrees = {
        name: plan["parallelism"][name]
        for name in ("tensor", "pipeline", "virtualPipeline", "context", "expert")
        if plan["parallelism"].get(name, 1) > 1
    }
    layout = ", ".join(f"{name} {size}" for name, size in degrees.items()) or "data parallel"
    cells = (
        f"[{folder.name}]({folder.name})",
        f"{plan['parameters'] / 1e9:.3g} G",
        str(plan["worldSize"]),
        layout,
        gib(plan["memoryPerGpu"]["total"]),
        f"{plan['steps'] * plan['tokensPerStep'] / 1e9:.3g} G",
        duration_text(plan["days"] * 86_400),
    )
    return "| " + " | ".join(cells) + " |"
