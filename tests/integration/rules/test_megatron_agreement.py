"""What we accept, Megatron-core accepts; what we refuse, it refuses, or our rule has the reason.

A rule without a reason to be stricter is Megatron-core's own, raised in the file that is the rule's
source; a rule with such a reason refuses what Megatron-core accepts.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from megatron_specs import shaped_specs, with_a_grid
from pretrain_api.rules import RULES, Rule, Severity, check
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from spec_strategies import specs

torch = pytest.importorskip("torch", reason="the trainer's packages are needed")
megatron = pytest.importorskip("megatron_oracle", reason="the trainer's packages are needed")

pytestmark = [
    pytest.mark.integration,
    # Megatron-core warns of what its own defaults say.
    pytest.mark.filterwarnings("ignore::UserWarning:megatron"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:megatron"),
    pytest.mark.filterwarnings("ignore::FutureWarning:torch"),
]

TESTS = Path(__file__).resolve().parents[2]
EXAMPLES = 500
"""Generated specs of each of two kinds: plausible shapes on a grid, and any."""

ENFORCED = {
    rule.id: rule
    for rule in RULES["PretrainJob"]
    if rule.severity is Severity.ERROR and not rule.is_transition
}
AGREED = {name: rule for name, rule in ENFORCED.items() if not rule.stricter}
STRICTER = {name: rule for name, rule in ENFORCED.items() if rule.stricter}

INCOMPLETE = {"model-shape"}
"""Rules whose offenders are not valid specs, so that Megatron-core cannot read them."""

CUTS = {"layers-pipeline", "layers-virtual"}
"""Stricter than the model class that we use, not than the block that the oracle builds."""


@dataclass(frozen=True)
class Comparison:
    """What our rules and Megatron-core refuse of a spec."""

    broken: frozenset[str]
    refusal: Any

    @property
    def offence(self) -> str | None:
        """Return the only rule that is broken, if there is one."""
        [*rules] = self.broken
        return rules[0] if len(rules) == 1 else None


def _compare(spec: dict[str, Any]) -> Comparison | None:
    """Return both results, or nothing for a manifest that is not even a spec."""
    problems = check("PretrainJob", spec)
    broken = frozenset(p.rule for p in problems if p.severity is Severity.ERROR)
    if broken & {"schema", *INCOMPLETE}:
        return None
    try:
        return Comparison(broken, megatron.refusal(PretrainJobSpec.model_validate(spec)))
    except megatron.LayersLost:
        assert broken, "Megatron-core builds something else than the spec that we accept says"
        return Comparison(broken, refusal=None)


def _corpora() -> list[dict[str, Any]]:
    paths = sorted(TESTS.glob("*_manifests/*.yaml"))
    manifests = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths]
    return [manifest["spec"] for manifest in manifests if manifest["kind"] == "PretrainJob"]


def _generated(strategy: st.SearchStrategy[dict[str, Any]]) -> list[dict[str, Any]]:
    drawn: list[dict[str, Any]] = []

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
    @given(spec=strategy)
    def draw(spec: dict[str, Any]) -> None:
        drawn.append(spec)

    draw()
    return drawn


@pytest.fixture(scope="module")
def comparisons() -> list[Comparison]:
    manifests = [*_corpora(), *_generated(shaped_specs()), *_generated(specs().map(with_a_grid))]
    compared = [_compare(spec) for spec in manifests]
    comparisons = [comparison for comparison in compared if comparison is not None]
    assert len(comparisons) >= EXAMPLES
    return comparisons


def _rule(name: str) -> Rule:
    return ENFORCED[name]


def test_what_we_accept_megatron_core_accepts(comparisons: list[Comparison]) -> None:
    accepted = [comparison for comparison in comparisons if not comparison.broken]
    assert [comparison.refusal for comparison in accepted if comparison.refusal is not None] == []
    assert len(accepted) >= 100


def test_what_megatron_core_accepts_we_accept_or_say_why_not(comparisons: list[Comparison]) -> None:
    taken = [
        comparison for comparison in comparisons if comparison.broken and comparison.refusal is None
    ]
    silent = {
        name for comparison in taken for name in comparison.broken if not _rule(name).stricter
    }
    assert silent == set()
    assert len(taken) >= 100


def test_every_rule_is_broken_by_some_spec(comparisons: list[Comparison]) -> None:
    broken = {name for comparison in comparisons for name in comparison.broken}
    assert ENFORCED.keys() - broken == INCOMPLETE


@pytest.mark.parametrize("name", sorted(AGREED.keys() - INCOMPLETE))
def test_a_rule_without_a_reason_is_refused_where_it_says(
    comparisons: list[Comparison], name: str
) -> None:
    alone = [comparison for comparison in comparisons if comparison.offence == name]
    assert alone, "no spec breaks this rule alone"
    for comparison in alone:
        files = comparison.refusal.files
        assert any(file in _rule(name).source for file in files), (
            files,
            comparison.refusal.message,
        )


@pytest.mark.parametrize("name", sorted(STRICTER.keys() - CUTS))
def test_a_stricter_rule_refuses_what_megatron_core_takes(
    comparisons: list[Comparison], name: str
) -> None:
    assert any(
        comparison.offence == name and comparison.refusal is None for comparison in comparisons
    )


def test_the_model_class_takes_any_cut_of_the_layers() -> None:
    assert megatron.takes_cut("*-*-*-|*-")
