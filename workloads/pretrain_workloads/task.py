"""How every workload starts and ends: its run as input; one exit report and one exit code.

The entry points are `run_program(main)` and, for programs with stages, `run_stage_program(...)`.
"""

import argparse
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

from pydantic import BaseModel
from pydantic_core import from_json

from pretrain_api import paths
from pretrain_api.problems import parse
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_workloads.exit_report import failure_report
from pretrain_workloads.failures import Preempted, UserError
from pretrain_workloads.peak_memory import peak_memory
from pretrain_workloads.storage import Folder, local_path, read_manifest
from pretrain_workloads.termination_message import write_report

log = logging.getLogger(__name__)


def run_program(main: Callable[[], ExitReport]) -> NoReturn:
    """Run `main` as the program of this process, report its end, and exit."""
    leave(run_task(main))


def run_stage_program(
    program: str, stages: Sequence[str], run_stage: Callable[[str], ExitReport]
) -> NoReturn:
    """Run the stage in the command line of `python -m <program> STAGE`, and exit."""
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("stage", choices=stages)
    stage: str = parser.parse_args().stage
    run_program(lambda: run_stage(stage))


def task_rank() -> int:
    """Return the index of this pod in its Job."""
    return int(os.environ.get("JOB_COMPLETION_INDEX", "0"))


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


def run_unless_complete(folder: Folder, main: Callable[[], ExitReport]) -> ExitReport:
    """Run the task of a stage between the first and the last, unless the artifact is complete.

    Another object with the same content may work in the same folder at the same time. When it has
    completed the artifact it deletes the files between stages, and a task that needs them fails:
    then nothing is left to do.
    """
    complete = ExitReport(exit_class=ExitClass.COMPLETE)
    return run_again_if_complete(folder, lambda: complete if read_manifest(folder) else main())


def run_again_if_complete(folder: Folder, main: Callable[[], ExitReport]) -> ExitReport:
    """Run a task that finds a complete artifact by itself; repeat it if it fails beside one."""
    try:
        return main()
    except Exception:
        if read_manifest(folder) is None:
            raise
        log.info("%s was completed meanwhile, by another object", folder.uri)
        return main()


def run_task(main: Callable[[], ExitReport], rank: int | None = None) -> int:
    """Run `main`, write its report or the report of its failure, and return the exit code."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    started = time.monotonic()
    signal.signal(signal.SIGTERM, _preempt)
    sys.unraisablehook = _raise_again
    try:
        report = main()
    except (Exception, Preempted, KeyboardInterrupt) as error:
        report = failure_report(error)
        log.error("%s: %s", report.exit_class.value, report.message, exc_info=error)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it must not interrupt the report
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
    """End the process now, with `code`, without tearing down the interpreter.

    The teardown could still abort the process: the thread pools of native libraries (Arrow,
    SentencePiece) do not always survive it.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _preempt(number: int, frame: FrameType | None) -> None:
    raise Preempted("signal SIGTERM: the node asked the pod to end")


def _raise_again(dropped: "sys.UnraisableHookArgs") -> None:
    """Raise `Preempted` again where Python dropped it: in a finalizer, or in a hook of a fork."""
    if not isinstance(dropped.exc_value, Preempted):
        sys.__unraisablehook__(dropped)
        return
    # Not at once: an exception that is raised in this hook would be dropped, too.
    again = threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGTERM))
    again.daemon = True
    again.start()
