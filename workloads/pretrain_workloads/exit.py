"""How every workload ends: one `ExitReport` as termination message, one exit code, one clear line.

An entry point is `leave(run_task(main))`, where `main` returns its report.
"""

import argparse
import logging
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from pydantic import BaseModel
from pydantic_core import from_json, to_json

from pretrain_api import paths
from pretrain_api.problems import InvalidManifest, parse
from pretrain_api.reports import MAX_REPORT_BYTES, ExitClass, ExitReport
from pretrain_workloads.failures import BadData, UserError
from pretrain_workloads.storage import local_path

log = logging.getLogger(__name__)

_LONGEST_MESSAGE = 1200
_BULKY = ("curve", "counts", "pipeline", "dataset", "tokenizer", "training", "checkpoint")
"""Parts of a report that are left out, in this order, until it fits."""


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
_SURROUNDINGS = (OSError, EOFError)
"""Disks, networks, other processes. An `OSError` may also be a `ValueError`."""


class Preempted(BaseException):
    """The node wants the pod to end (SIGTERM)."""


def task_rank() -> int:
    """Return the index of this pod in its Job."""
    return int(os.environ.get("JOB_COMPLETION_INDEX", "0"))


def stage_argument(program: str, stages: Sequence[str]) -> str:
    """Return the stage that the command line of `python -m <program> STAGE` names."""
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("stage", choices=stages)
    stage: str = parser.parse_args().stage
    return stage


def load_run[R: BaseModel](model: type[R]) -> R:
    """Return the run that the control plane mounted at `paths.SPEC`.

    Raises:
        UserError: If there is none.
        InvalidManifest: If it is not a `model`.
    """
    path = local_path(paths.SPEC)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: the run's spec cannot be read ({error.strerror}); mount the ConfigMap there"
        ) from error
    try:
        value = from_json(text)
    except ValueError as error:
        raise UserError(f"{path}: is not JSON: {error}") from error
    return parse(model, value, field="run")


def run_task(main: Callable[[], ExitReport], rank: int | None = None) -> int:
    """Run `main`, write its report or the report of its failure, and return the exit code."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    started = time.monotonic()
    signal.signal(signal.SIGTERM, _preempt)
    try:
        report = main()
    except (Exception, Preempted, KeyboardInterrupt) as error:
        report = failure_report(error)
        log.error("%s: %s", report.exit_class.value, report.message, exc_info=error)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a report that is half written helps nobody
    report = report.model_copy(
        update={
            "rank": task_rank() if rank is None else rank,
            "seconds": round(time.monotonic() - started, 3),
            "peak_memory_bytes": max(report.peak_memory_bytes, peak_memory()),
        }
    )
    write_report(report)
    log.info("%s after %.1f s", report.exit_class.value, report.seconds)
    return report.exit_class.exit_code


def leave(code: int) -> NoReturn:
    """End the process now, with `code`.

    All is written and reported by then. Tearing down the interpreter could still abort it: the
    thread pools of native libraries (Arrow, SentencePiece) do not always survive that.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _preempt(number: int, frame: FrameType | None) -> None:
    raise Preempted(f"signal {signal.Signals(number).name}: the node asked the pod to end")


def failure_report(error: BaseException, exit_class: ExitClass | None = None) -> ExitReport:
    """Return the report of an exception: its class, if none is given, and one sentence."""
    exit_class = exit_class or classify(error)
    message = _sentence(error)
    if exit_class is ExitClass.PROGRAM_ERROR and (place := _place(error)):
        place = f" ({place})"
        message = _cut(message, max(0, _LONGEST_MESSAGE - len(place))) + place
    return ExitReport(exit_class=exit_class, message=message)


def classify(error: BaseException) -> ExitClass:
    """Return why a process that raised `error` ended.

    What says that the program itself is wrong is no matter of the node or the network, unless one
    of those caused it. An exception that nobody knows is.
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
    is_bug = isinstance(error, _BUGS) and not isinstance(error, _SURROUNDINGS)
    if is_bug and not any(isinstance(cause, _SURROUNDINGS) for cause in _causes(error)):
        return ExitClass.PROGRAM_ERROR
    return ExitClass.INFRASTRUCTURE


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what `error` says it was raised from."""
    seen = {id(error)}
    cause = error.__cause__
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__


def _place(error: BaseException) -> str:
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


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: max(0, length - 1)] + "…"


def write_report(report: ExitReport) -> None:
    """Write `report` where Kubernetes reads the termination message.

    Outside a pod, where the folder does not exist, the log is all there is.
    """
    path = local_path(paths.TERMINATION)
    try:
        path.write_bytes(render_report(report))
    except OSError as error:
        log.warning("no termination message: %s", error)


def render_report(report: ExitReport) -> bytes:
    """Return `report` as JSON of at most `MAX_REPORT_BYTES` bytes, leaving out the bulkiest."""
    report = report.model_copy(update={"message": _cut(report.message, _LONGEST_MESSAGE)})
    value = report.model_dump(mode="json", by_alias=True, exclude_none=True)
    for part in _BULKY:
        if len(to_json(value)) <= MAX_REPORT_BYTES:
            break
        value.pop(part, None)
    while len(to_json(value)) > MAX_REPORT_BYTES:  # many bytes a character
        value["message"] = value["message"][: len(value["message"]) // 2] + "…"
    return to_json(value)


def peak_memory() -> int:
    """Return the largest resident memory of this process and of its children, in bytes.

    `getrusage` also counts the parent's memory from before `exec`, so the kernel's own
    high-water mark is asked first.
    """
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        mine = int(status.split("VmHWM:", 1)[1].split()[0]) * 1024
    except (OSError, IndexError, ValueError):
        mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return max(mine, children)
