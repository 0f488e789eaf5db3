"""What is wrong with a manifest, one line a problem: field, value, what to do."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

_SHOWN = 80


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
        raise InvalidManifest(describe(error, field)) from None


def describe(error: ValidationError, field: str = "spec") -> list[str]:
    """Return one line for each problem of a pydantic error, with its path below `field`."""
    return [_line(dict(problem), field) for problem in error.errors(include_url=False)]


def _line(problem: Mapping[str, Any], field: str) -> str:
    path = field + "".join(map(_step, problem["loc"]))
    message = str(problem["msg"]).removeprefix("Value error, ")
    match problem["type"]:
        case "missing":
            return f"{path}: is required"
        case "extra_forbidden":
            return f"{path}: there is no such field"
    value = repr(problem["input"])
    shown = value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…"
    message = message.replace(value, shown)  # our own types repeat the value
    return f"{path}: {shown}: {message[:1].lower()}{message[1:]}"


def _step(part: int | str) -> str:
    """Return one step of a path; a key may hold anything, and a problem is one line of text."""
    if isinstance(part, str) and part.isprintable():
        return f".{part}"
    return f"[{part!r}]"
