"""What is wrong with a manifest, one line a problem: field, value, what to do."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

_SHOWN = 80
_SIMILARITY = 0.8
"""How much a choice has to resemble what was written to be what was meant."""
_MANY = 8
"""More choices than these are not all listed where one of them is close to what was written."""


class InvalidManifest(Exception):
    """The user must act: every problem of one manifest, at once."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def parse[M: BaseModel](model: type[M], value: object, field: str = "spec") -> M:
    """Return `value` as a `model`.

    Raises:
        InvalidManifest: If it is not; each problem starts with its field's path below `field`.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InvalidManifest(describe(error, field, model)) from None


def describe(
    error: ValidationError, field: str = "spec", model: type[BaseModel] | None = None
) -> list[str]:
    """Return one line for each problem of a pydantic error, with its path below `field`.

    With the `model` that was expected, an unknown field is compared with those that there are.
    """
    problems = [dict(problem) for problem in error.errors(include_url=False)]
    schema = _schema(model) if model else {}
    return [
        _line(problem, field, schema)
        for problem in problems
        if not _is_consequence(problem, problems)
    ]


def _is_consequence(problem: Mapping[str, Any], problems: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether a field is missing only because the preset that gives it has a wrong name."""
    beside = (*problem["loc"][:-1], "preset")
    return problem["type"] == "missing" and any(other["loc"] == beside for other in problems)


def _line(problem: Mapping[str, Any], field: str, schema: Mapping[str, Any]) -> str:
    location = problem["loc"]
    path = field + "".join(map(_step, location))
    message = str(problem["msg"]).removeprefix("Value error, ")
    match problem["type"]:
        case "missing":
            return f"{path}: is required"
        case "extra_forbidden":
            hint = _suggestion(str(location[-1]), _fields(schema, location))
            return f"{path}: there is no such field{hint}"
    value = repr(problem["input"])
    shown = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
    message = message.replace(value, shown)  # our own types repeat the value
    if message.startswith(shown):
        return f"{path}: {message}"
    if problem["type"] == "literal_error" and isinstance(problem["input"], str):
        choices = re.findall(r"'([^']*)'", message)
        if len(choices) > _MANY and (hint := _suggestion(problem["input"], choices, _SIMILARITY)):
            return f"{path}: {shown} is none of the {len(choices)} values that there are{hint}"
    return f"{path}: {shown}: {message[:1].lower()}{message[1:]}"


@cache
def _schema(model: type[BaseModel]) -> Mapping[str, Any]:
    return model.model_json_schema(by_alias=True)


def _suggestion(name: str, known: Sequence[str], cutoff: float = 0.6) -> str:
    """Return the end of a sentence that names what was probably meant, if anything is close."""
    close = get_close_matches(name, known, n=1, cutoff=cutoff)
    return f"; did you mean {close[0]}?" if close else ""


def _fields(schema: Mapping[str, Any], location: Sequence[int | str]) -> list[str]:
    """Return the fields that there are where the last step of `location` is none."""
    node: Mapping[str, Any] = _resolved(schema, schema)
    for step in location[:-1]:
        if isinstance(step, int):
            node = node.get("items", {})
        else:
            node = node.get("properties", {}).get(step) or _values(node)
        node = _resolved(node, schema)
    return [*node.get("properties", {})]


def _values(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of the values of a map."""
    values = node.get("additionalProperties")
    return values if isinstance(values, Mapping) else {}


def _resolved(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references, and take the one option that is not null."""
    while "$ref" in node or "anyOf" in node:
        if "$ref" in node:
            node = schema.get("$defs", {}).get(str(node["$ref"]).rsplit("/", 1)[-1], {})
        else:
            node = next((one for one in node["anyOf"] if one.get("type") != "null"), {})
    return node


def _step(part: int | str) -> str:
    """Return one step of a path; a key may hold anything, and a problem is one line of text."""
    if isinstance(part, str) and part.isprintable():
        return f".{part}"
    return f"[{part!r}]"
