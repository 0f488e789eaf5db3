"""The exit report of an exception: its class, and one sentence."""

import traceback
from collections.abc import Iterator
from pathlib import Path

from pretrain_api.problems import InvalidManifest
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_workloads.failures import BadData, Preempted, UserError
from pretrain_workloads.termination_message import MAX_MESSAGE_CHARACTERS, truncated

_BUGS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)
_INFRASTRUCTURE = (OSError, EOFError)
"""Disks, networks, other processes. An `OSError` may also be a `ValueError`."""


def failure_report(error: BaseException, exit_class: ExitClass | None = None) -> ExitReport:
    """Return the report of an exception; `exit_class` overrides the class of `classify`."""
    exit_class = exit_class or classify(error)
    message = _sentence(error)
    if exit_class is ExitClass.PROGRAM_ERROR and (location := _location(error)):
        suffix = f" ({location})"
        message = truncated(message, max(0, MAX_MESSAGE_CHARACTERS - len(suffix))) + suffix
    return ExitReport(exit_class=exit_class, message=message)


def classify(error: BaseException) -> ExitClass:
    """Return the class of a process that `error` ended.

    An exception that indicates a bug is a program error, unless a failure of the infrastructure
    caused it. Unknown exceptions count as infrastructure.
    """
    match error:
        case UserError() | InvalidManifest():
            return ExitClass.USER_ERROR
        case BadData():
            return ExitClass.BAD_DATA
        case MemoryError():
            return ExitClass.OUT_OF_MEMORY
        case Preempted() | KeyboardInterrupt():
            return ExitClass.PREEMPTED
    is_bug = isinstance(error, _BUGS) and not isinstance(error, _INFRASTRUCTURE)
    if is_bug and not any(isinstance(cause, _INFRASTRUCTURE) for cause in _causes(error)):
        return ExitClass.PROGRAM_ERROR
    return ExitClass.INFRASTRUCTURE


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the chain of exceptions that `error` was raised from."""
    seen = {id(error)}
    cause = error.__cause__
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__


def _location(error: BaseException) -> str:
    """Return where `error` was raised: the last two parts of the file's path, line, function."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    last = frames[-1]
    return f"{'/'.join(Path(last.filename).parts[-2:])}:{last.lineno} in {last.name}"


def _sentence(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, UserError | BadData | InvalidManifest | Preempted):
        return text
    name = type(error).__name__
    return f"{name}: {text}" if text else name
