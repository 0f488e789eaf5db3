"""Wrong manifests are refused with the lines they carry; right ones are accepted."""

from pathlib import Path

import pytest
import yaml

from pretrain_api.rules import RULES, Severity, check
from pretrain_api.rules.document import errors, notes, page

ROOT = Path(__file__).resolve().parents[4]
WRONG = sorted((ROOT / "tests" / "wrong_manifests").glob("*.yaml"))
RIGHT = sorted((ROOT / "tests" / "right_manifests").glob("*.yaml"))


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_a_wrong_manifest_gets_all_of_its_errors(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert errors(yaml.safe_load(text)) == notes(text)[2] != []


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: path.stem)
def test_a_published_configuration_is_accepted(path: Path) -> None:
    assert errors(yaml.safe_load(path.read_text(encoding="utf-8"))) == []


def test_the_corpora_are_as_large_as_promised() -> None:
    assert len(WRONG) >= 60
    assert len(RIGHT) >= 30


def test_every_rule_of_a_run_is_broken_by_a_wrong_manifest() -> None:
    broken = set()
    for path in WRONG:
        manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
        broken |= {problem.rule for problem in check(manifest["kind"], manifest["spec"])}
    enforced = {
        rule.id
        for rule in RULES["PretrainJob"]
        if rule.severity is Severity.ERROR and not rule.is_transition
    }
    # Types say the same earlier: without a preset, the fields of the shape are required.
    assert enforced - broken == {"model-shape"}


def test_the_committed_page_is_what_the_manifests_generate() -> None:
    manifests = {path.name: path.read_text(encoding="utf-8") for path in WRONG}
    committed = (ROOT / "docs" / "wrong-manifests.md").read_text(encoding="utf-8")
    assert committed == page(manifests), "run `make generate`"
