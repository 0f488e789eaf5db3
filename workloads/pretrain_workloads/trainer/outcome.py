"""Why an attempt ended in this pod: the most informative of what its processes know."""

import signal
from dataclasses import dataclass

from pretrain_api.reports import CAUSES, MAX_REPORT_BYTES, ExitClass, ExitReport
from pretrain_api.v1alpha1.progress import Continuation, TrainingSummary
from pretrain_workloads.trainer.pod.workspace import Killed, Note, RankReport
from pretrain_workloads.trainer.progress.curve import shortened

MAX_CURVE = 24
"""Points of the loss curve in a report."""


@dataclass(frozen=True)
class Observed:
    """What the launcher saw when all ranks had ended."""

    reports: list[RankReport]
    """How the ranks say that they ended."""
    killed: list[Killed]
    """Those that did not end well, as their parent saw it."""
    processes: int
    """Ranks of this pod."""
    is_stop_asked: bool
    """Whether the node had asked the pod to end."""
    was_out_of_memory: bool
    """Whether the kernel killed a process of the pod for its memory."""
    agent_exit_code: int
    """Exit code of the agent that watched the ranks."""


def conclude(seen: Observed, note: Note | None) -> ExitReport:
    """Return the pod's report, before it is cut to size."""
    report = _cause(seen)
    if note is None:
        return report
    return report.model_copy(
        update={
            "training": report.training or note.summary,
            "checkpoint": report.checkpoint or note.progress.checkpoint,
            "curve": shortened(note.progress.curve, MAX_CURVE),
        }
    )


def _cause(seen: Observed) -> ExitReport:
    own = [one for one in seen.reports if not one.collateral]
    if own:
        worst = min(own, key=lambda one: (CAUSES.index(one.report.exit_class), one.rank)).report
        missing = seen.processes - len(seen.reports)
        if worst.exit_class is not ExitClass.COMPLETE or not (missing or seen.agent_exit_code):
            if worst.exit_class is ExitClass.INFRASTRUCTURE and seen.is_stop_asked:
                return _preempted(worst.message)
            return worst
    if seen.was_out_of_memory:
        return ExitReport(
            exit_class=ExitClass.OUT_OF_MEMORY,
            message="the kernel killed a training process because the pod's memory was used up; "
            "raise the profile's memory, lower spec.training.microBatchSize, or raise "
            "spec.parallelism.tensor or .pipeline",
        )
    message = _lost(seen)
    if seen.is_stop_asked:
        return _preempted(message)
    return ExitReport(exit_class=ExitClass.INFRASTRUCTURE, message=message)


def _preempted(reason: str) -> ExitReport:
    return ExitReport(
        exit_class=ExitClass.PREEMPTED,
        message=f"the node asked the pod to end, and no checkpoint could be saved: {reason}",
    )


def _lost(seen: Observed) -> str:
    """Return what happened to ranks that could not say it themselves."""
    reported = {one.rank for one in seen.reports}
    silent = [one for one in seen.killed if one.rank not in reported]
    if silent:
        return "; ".join(_fate(one) for one in silent)
    collateral = [one for one in seen.reports if one.collateral]
    if collateral:
        return collateral[0].report.message
    return f"the training processes ended with exit code {seen.agent_exit_code} and no report"


def _fate(killed: Killed) -> str:
    if killed.exit_code >= 0:
        return f"rank {killed.rank} ended with exit code {killed.exit_code}, without a report"
    try:
        name = signal.Signals(-killed.exit_code).name
    except ValueError:
        name = f"signal {-killed.exit_code}"
    return f"rank {killed.rank} was killed by {name}"


def cut_to_size(report: ExitReport) -> ExitReport:
    """Return `report` so that it fits into a termination message without losing its parts.

    First prompts and continuations become short, then the curve loses points, then the last
    continuations go.
    """
    for prompt, text, points in ((200, 200, 24), (60, 200, 24), (40, 80, 16), (30, 40, 8)):
        report = report.model_copy(
            update={
                "curve": shortened(report.curve, points),
                "training": _shortened(report.training, prompt, text),
            }
        )
        if _fits(report):
            return report
    while report.training and report.training.continuations and not _fits(report):
        fewer = report.training.model_copy(
            update={"continuations": report.training.continuations[:-1]}
        )
        report = report.model_copy(update={"training": fewer})
    return report


def _fits(report: ExitReport) -> bool:
    value = report.model_dump_json(by_alias=True, exclude_none=True)
    room = 200  # rank, seconds and memory are added later
    return len(value.encode()) + room <= MAX_REPORT_BYTES


def _shortened(summary: TrainingSummary | None, prompt: int, text: int) -> TrainingSummary | None:
    if summary is None:
        return None
    continuations = [
        Continuation(prompt=one.prompt[:prompt], text=one.text[:text])
        for one in summary.continuations
    ]
    return summary.model_copy(update={"continuations": continuations})
