"""Evaluate the rules in Python: the CRD's own CEL text, through a CEL library.

The API server's quantity, format and list functions are not part of that library; they are added
here with the server's meaning.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import cel
from pydantic import BaseModel, ValidationError

from pretrain_api.kinds import KINDS
from pretrain_api.problems import describe
from pretrain_api.quantities import parse_quantity
from pretrain_api.rules.catalogue import RULES
from pretrain_api.rules.rule import Problem, Rule

_SPEC = {kind.name: kind.spec for kind in KINDS}
_VERB = re.compile(r"%[ds]")
_ERRORS = (TypeError, ValueError, ArithmeticError, RuntimeError)
"""What the library raises where a rule cannot be computed, for example beyond 64 bits."""


def check(kind: str, spec: BaseModel | Mapping[str, Any]) -> list[Problem]:
    """Return the rules that a spec of `kind` breaks: errors, warnings, what cannot run yet.

    Types, ranges and unknown fields come first and hide the rules, as in the API server.

    Raises:
        KeyError: If there is no such kind.
    """
    if not isinstance(spec, BaseModel):
        try:
            spec = _SPEC[kind].model_validate(dict(spec), strict=True)
        except ValidationError as error:
            return [_schema_problem(line) for line in describe(error, model=_SPEC[kind])]
    values = _values(spec)
    rules = [rule for rule in RULES[kind] if not rule.is_transition]
    return _broken(rules, {"self": values})


def check_change(kind: str, old: BaseModel, new: BaseModel) -> list[Problem]:
    """Return the changes from `old` to `new` that an object of `kind` does not allow."""
    rules = [rule for rule in RULES[kind] if rule.is_transition]
    return _broken(rules, {"self": _values(new), "oldSelf": _values(old)})


def _values(spec: BaseModel) -> dict[str, Any]:
    """Return the fields of the manifest without the defaults, as the API server sees them."""
    values: dict[str, Any] = spec.model_dump(
        mode="json", by_alias=True, exclude_unset=True, exclude_none=True
    )
    return values


def _schema_problem(line: str) -> Problem:
    field, _, message = line.partition(": ")
    return Problem("schema", field, message)


def _broken(rules: Sequence[Rule], variables: Mapping[str, Any]) -> list[Problem]:
    context = _context(variables)
    return [
        Problem(
            rule.id,
            f"spec.{rule.field}",
            _message(rule, context),
            rule.severity,
            rule.source,
        )
        for rule in rules
        if not _holds(rule, context)
    ]


def _holds(rule: Rule, context: cel.Context) -> bool:
    """Return whether a spec keeps a rule; an error breaks it, as in the API server."""
    try:
        return bool(_program(rule.holds).execute(context))
    except _ERRORS:
        return False


def _message(rule: Rule, context: cel.Context) -> str:
    if rule.message_expression is None:
        return rule.message
    try:
        return str(_program(rule.message_expression).execute(context))
    except _ERRORS:
        return rule.plain_message


@cache
def _program(text: str) -> cel.Program:
    return cel.compile(text)


def _context(variables: Mapping[str, Any]) -> cel.Context:
    context = cel.Context()
    for name, value in variables.items():
        context.add_variable(name, value)
    context.add_function("quantity", _quantity)
    context.add_function("asInteger", lambda quantity: quantity["value"])
    context.add_function("format", _format)
    context.add_function("sum", sum)
    return context


def _quantity(text: str) -> dict[str, int]:
    """Return a quantity; of an integer, which rules convert to text, any number of digits."""
    return {"value": parse_quantity(int(text) if text.isdecimal() else text)}


def _format(template: str, values: Sequence[Any]) -> str:
    left = iter(values)
    return _VERB.sub(lambda _: _shown(next(left)), template)


def _shown(value: Any) -> str:
    if isinstance(value, str) and not value.isprintable():
        return repr(value)[1:-1]
    if isinstance(value, list | tuple):
        items = (f'"{_shown(item)}"' if isinstance(item, str) else _shown(item) for item in value)
        return f"[{', '.join(items)}]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
