"""Thousands of PretrainJob specs with the admission rules that each breaks."""

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings

from megatron_specs import with_a_grid
from pretrain_api.rules import Severity, check
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from spec_strategies import nearly_sound_specs, specs

NEARLY_SOUND, ANY = 2000, 300
"""Specs of each kind. One takes 1.2 ms of CPU, of which the rules take 0.7 ms."""


@dataclass(frozen=True)
class CheckedSpec:
    """A spec, and the rules that it breaks."""

    manifest: dict[str, Any]
    errors: frozenset[str]
    not_yet: frozenset[str]
    """Rules about what the trainer cannot do yet."""

    @property
    def spec(self) -> PretrainJobSpec:
        """Return the parsed spec."""
        return PretrainJobSpec.model_validate(self.manifest)


def check_spec(manifest: dict[str, Any]) -> CheckedSpec:
    """Return a spec with the rules that it breaks."""
    problems = check("PretrainJob", manifest)
    errors = (problem.rule for problem in problems if problem.severity is Severity.ERROR)
    not_yet = (problem.rule for problem in problems if problem.severity is Severity.NOT_YET)
    return CheckedSpec(manifest, frozenset(errors), frozenset(not_yet))


def draw_checked_specs() -> list[CheckedSpec]:
    """Return specs that state their grid, the same in every run; half of them are sound."""
    drawn: list[CheckedSpec] = []
    for strategy, count in ((nearly_sound_specs(), NEARLY_SOUND), (specs().map(with_a_grid), ANY)):
        settings(max_examples=count, deadline=None, derandomize=True, database=None)(
            given(manifest=strategy)(lambda manifest: drawn.append(check_spec(manifest)))
        )()
    return drawn
