"""Admission rules, written once as CEL: rendered into the CRDs, and evaluated here."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from pretrain_api.rules.catalogue import RULES
from pretrain_api.rules.rule import Problem, Rule, Severity

__all__ = ["RULES", "Problem", "Rule", "Severity", "check", "check_change"]


def check(kind: str, spec: BaseModel | Mapping[str, Any]) -> list[Problem]:
    """Return the rules that a spec of `kind` breaks: errors, warnings, what cannot run yet.

    `spec` is that of a manifest, or already parsed.

    Raises:
        KeyError: If there is no such kind.
    """
    # Imported here: images of pods have no CEL library, and the CRD renderer needs none.
    from pretrain_api.rules import evaluation

    return evaluation.check(kind, spec)


def check_change(kind: str, old: BaseModel, new: BaseModel) -> list[Problem]:
    """Return the changes from `old` to `new` that an object of `kind` does not allow."""
    from pretrain_api.rules import evaluation

    return evaluation.check_change(kind, old, new)
