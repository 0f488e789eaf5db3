"""The class of an exception: who must act, and whether a retry can help."""

import subprocess
from io import UnsupportedOperation

import pytest

from pretrain_api.reports import ExitClass
from pretrain_workloads.exit_report import classify
from pretrain_workloads.failures import BadData, Preempted, UserError


@pytest.mark.parametrize(
    ("error", "want"),
    [
        (UserError("x"), ExitClass.USER_ERROR),
        (BadData("x"), ExitClass.BAD_DATA),
        (MemoryError(), ExitClass.OUT_OF_MEMORY),
        (Preempted(), ExitClass.PREEMPTED),
        (KeyboardInterrupt(), ExitClass.PREEMPTED),
        (OSError("disk"), ExitClass.INFRASTRUCTURE),
        (ConnectionResetError(), ExitClass.INFRASTRUCTURE),
        (TimeoutError(), ExitClass.INFRASTRUCTURE),
        (EOFError(), ExitClass.INFRASTRUCTURE),
        (UnsupportedOperation("a ValueError too"), ExitClass.INFRASTRUCTURE),
        (subprocess.TimeoutExpired("x", 1), ExitClass.INFRASTRUCTURE),
        (Exception("unknown"), ExitClass.INFRASTRUCTURE),
        (ZeroDivisionError(), ExitClass.PROGRAM_ERROR),
        (TypeError(), ExitClass.PROGRAM_ERROR),
        (KeyError("k"), ExitClass.PROGRAM_ERROR),
        (AssertionError(), ExitClass.PROGRAM_ERROR),
        (ModuleNotFoundError(), ExitClass.PROGRAM_ERROR),
        (NotImplementedError(), ExitClass.PROGRAM_ERROR),
    ],
)
def test_an_exception_has_a_class(error: BaseException, want: ExitClass) -> None:
    assert classify(error) is want


def test_an_error_that_a_lost_connection_caused_is_not_a_bug() -> None:
    error = ValueError("no value")
    error.__cause__ = KeyError("k")
    assert classify(error) is ExitClass.PROGRAM_ERROR
    error.__cause__.__cause__ = ConnectionResetError()
    assert classify(error) is ExitClass.INFRASTRUCTURE
    error.__cause__.__cause__ = error  # a ring of causes ends, too
    assert classify(error) is ExitClass.PROGRAM_ERROR
