"""What a rank's exception means: its own failure, or that of a rank it talked to."""

import os
import re
import time

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_workloads.exit import failure_report
from pretrain_workloads.trainer.pod.ends import Interrupted, NotANumber

_LOST = re.compile(
    r"connection closed by peer|connection reset|broken pipe|connection refused"
    r"|remote process exited|socket closed|recvValue failed|connection was likely closed"
    r"|Network is unreachable|no route to host",
    re.IGNORECASE,
)
_HUNG = re.compile(r"timed out|timeout", re.IGNORECASE)
_MEMORY = re.compile(r"out of memory|can't allocate memory|cannot allocate memory", re.IGNORECASE)

_DEVICE = re.compile(
    r"nccl|gloo|c10d|process ?group|torch\.distributed|TCPStore|rendezvous"
    r"|CUDA (?:error|driver)(?!.*device-side assert)|CUBLAS_STATUS|CUDNN_STATUS|NVML|ECC error"
    r"|can't start new thread|unable to (?:open|write|mmap)",
    re.IGNORECASE,
)
"""A device, a driver or the connections between ranks failed, and not the program."""

_DEVICE_ERRORS = ("DistError", "QueueEmptyError")
"""Torch's own classes of them, by name: the module is read without torch."""

_PLACE = re.compile(r"^\[[^\]]*\]\s*")
"""The line of the library's source that a message starts with."""

_PAUSE_SECONDS = 0.1
ANSWER_SECONDS = 2.0
"""How long a rank that lost a peer waits for the answers of the ranks that still live."""


def report_of(error: BaseException) -> tuple[ExitReport, bool]:
    """Return the report of `error`, and whether another rank is its cause."""
    text = " ".join(str(error).split())
    match error:
        case Interrupted():
            return ExitReport(exit_class=ExitClass.PREEMPTED, message=text), False
        case NotANumber():
            return ExitReport(exit_class=ExitClass.NOT_A_NUMBER, message=text), False
    if isinstance(error, RuntimeError):
        if _LOST.search(text):
            return ExitReport(exit_class=ExitClass.INFRASTRUCTURE, message=text), True
        if _HUNG.search(text):
            return ExitReport(exit_class=ExitClass.HANG, message=text), False
        if _MEMORY.search(text):
            return ExitReport(exit_class=ExitClass.OUT_OF_MEMORY, message=_advice(text)), False
        return failure_report(error, _class_of(error, text)), False
    return failure_report(error), False


def _class_of(error: RuntimeError, text: str) -> ExitClass:
    """Return whether the surroundings or the program raised torch's exception for everything."""
    names = {base.__name__ for base in type(error).__mro__}
    if _DEVICE.search(text) or names.intersection(_DEVICE_ERRORS):
        return ExitClass.INFRASTRUCTURE
    return ExitClass.PROGRAM_ERROR


def _advice(text: str) -> str:
    return (
        "the device's memory was used up; lower spec.training.microBatchSize, set "
        f"spec.training.recompute, or raise spec.parallelism.tensor or .pipeline ({text[:300]})"
    )


def explain_loss(text: str) -> str:
    """Return the message of a rank that has lost a peer: which ones do not answer, and `text`."""
    reason = _PLACE.sub("", text).partition(". ")[0][:200]
    silent = _silent_ranks()
    if not silent:
        return f"lost the connection to a rank of this node: {reason}"
    per_node = int(os.environ["LOCAL_WORLD_SIZE"])
    names = ", ".join(f"rank {rank} on node {rank // per_node}" for rank in silent[:4])
    more = f" and {len(silent) - 4} more" if len(silent) > 4 else ""
    return f"lost the connection to {names}{more}: {reason}"


def _silent_ranks() -> list[int]:
    """Return the ranks of other nodes that do not answer this one.

    Every rank that loses a peer leaves a mark in the store of pod 0, and looks for the others'.
    A rank of this node may not have noticed yet; its own launcher knows whether it lives. If the
    store is gone, so is pod 0.
    """
    import torch

    if not torch.distributed.is_initialized():
        return []
    rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    per_node = int(os.environ["LOCAL_WORLD_SIZE"])
    silent = {n for n in range(ranks) if n // per_node != rank // per_node}
    try:
        store = torch.distributed.distributed_c10d._get_default_store()
        store.set(f"alive/{rank}", "1")
        deadline = time.monotonic() + ANSWER_SECONDS
        while silent and time.monotonic() < deadline:
            silent -= {n for n in silent if store.check([f"alive/{n}"])}
            time.sleep(_PAUSE_SECONDS)
    except (RuntimeError, OSError):
        return [0] if rank >= per_node else []
    return sorted(silent)
