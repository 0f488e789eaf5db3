"""The exit report of a rank's exception: its own failure, or the loss of another rank."""

import re

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_workloads.exit_report import failure_report
from pretrain_workloads.trainer.pod.interrupts import Interrupted

_PEER_LOST = re.compile(
    r"connection closed by peer|connection reset|broken pipe|connection refused"
    r"|remote process exited|socket closed|recvValue failed|connection was likely closed"
    r"|Network is unreachable|no route to host",
    re.IGNORECASE,
)
_TIMEOUT = re.compile(r"timed out|timeout", re.IGNORECASE)
_MEMORY = re.compile(r"out of memory|can't allocate memory|cannot allocate memory", re.IGNORECASE)

_DEVICE = re.compile(
    r"nccl|gloo|c10d|process ?group|torch\.distributed|TCPStore|rendezvous"
    r"|CUDA (?:error|driver)(?!.*device-side assert)|CUBLAS_STATUS|CUDNN_STATUS|NVML|ECC error"
    r"|can't start new thread|unable to (?:open|write|mmap)",
    re.IGNORECASE,
)
"""A device, a driver or a connection between ranks failed, not the program."""

_DEVICE_ERRORS = ("DistError", "QueueEmptyError")
"""Torch's own classes for such failures, by name: this module is imported without torch."""


class NotANumber(Exception):
    """The loss or the gradient is not a number: training cannot continue from here."""


class LossSpiked(Exception):
    """The loss has spiked: the run goes on from before it."""


def explain_failure(error: BaseException) -> tuple[ExitReport, bool]:
    """Return the report of `error`, and whether the loss of another rank caused it."""
    text = " ".join(str(error).split())
    match error:
        case Interrupted():
            return ExitReport(exit_class=ExitClass.PREEMPTED, message=text), False
        case NotANumber():
            return ExitReport(exit_class=ExitClass.NOT_A_NUMBER, message=text), False
        case LossSpiked():
            return ExitReport(exit_class=ExitClass.LOSS_SPIKE, message=text), False
    if isinstance(error, RuntimeError):
        if _PEER_LOST.search(text):
            return ExitReport(exit_class=ExitClass.INFRASTRUCTURE, message=text), True
        if _TIMEOUT.search(text):
            return ExitReport(exit_class=ExitClass.HANG, message=text), False
        if _MEMORY.search(text):
            message = _memory_advice(text)
            return ExitReport(exit_class=ExitClass.OUT_OF_MEMORY, message=message), False
        return failure_report(error, _classify(error, text)), False
    return failure_report(error), False


def _classify(error: RuntimeError, text: str) -> ExitClass:
    """Return whether infrastructure or the program caused torch's one class of exceptions."""
    names = {base.__name__ for base in type(error).__mro__}
    if _DEVICE.search(text) or names.intersection(_DEVICE_ERRORS):
        return ExitClass.INFRASTRUCTURE
    return ExitClass.PROGRAM_ERROR


def _memory_advice(text: str) -> str:
    return (
        "the device's memory was used up; lower spec.training.microBatchSize, set "
        f"spec.training.recompute, or raise spec.parallelism.tensor or .pipeline ({text[:300]})"
    )
