"""Check one object by itself: its name, its types and the rules of its kind."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from pretrain_api.meta import MAX_NAME
from pretrain_api.rules import Problem, check

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def object_problems(
    kind: str, name: str, spec: BaseModel | Mapping[str, Any]
) -> tuple[Problem, ...]:
    """Return the errors and warnings of an object, without reading any other object.

    The controller checks, too: an older CRD may have let the object through.
    """
    return (*name_problems(name), *check(kind, spec))


def name_problems(name: str) -> tuple[Problem, ...]:
    """Return the errors of an object's name, which becomes a label of every child."""
    if len(name) > MAX_NAME:
        message = f"{name!r} has {len(name)} characters; use at most {MAX_NAME}"
    elif not _NAME.fullmatch(name):
        message = f"{name!r} is no DNS subdomain; use small letters, digits, '-' and '.'"
    else:
        return ()
    return (Problem("name", "metadata.name", message),)


def refusals(problems: Iterable[Problem]) -> list[str]:
    """Return the problems for which an object is refused, one line each."""
    return [str(problem) for problem in problems if problem.is_refusal]
