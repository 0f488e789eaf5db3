"""Why an attempt ended in this pod: the exit report, from what its processes left behind."""

import signal
from dataclasses import dataclass

from pretrain_api.reports import CAUSES, MAX_REPORT_BYTES, ExitClass, ExitReport
from pretrain_api.v1alpha1.progress import Continuation, TrainingSummary
from pretrain_workloads.trainer.pod.workspace import KilledRank, ProgressSnapshot, RankReport
from pretrain_workloads.trainer.progress.curve import shortened

MAX_CURVE = 24
"""Points of the loss curve in a report."""


@dataclass(frozen=True)
class RankResults:
    """How the ranks of this pod ended, as the launcher sees it."""

    reports: list[RankReport]
    """Reports of the ranks that could write one."""
    killed: list[KilledRank]
    """Ranks that the agent saw fail."""
    processes: int
    """Number of ranks of this pod."""
    is_stop_requested: bool
    """Whether the node had asked the pod to end."""
    was_out_of_memory: bool
    """Whether the kernel killed a process of the pod for its memory."""
    agent_exit_code: int
    """Exit code of the agent that watched the ranks."""
    agent_failure: ExitReport | None = None
    """Why the agent could not start any rank."""
    hang: str | None = None
    """Where the ranks were when the launcher ended their hang."""


def exit_report(results: RankResults, snapshot: ProgressSnapshot | None) -> ExitReport:
    """Return the pod's report, of any size; `snapshot` fills in what the ranks did not report."""
    report = _cause(results)
    if snapshot is None:
        return report
    return report.model_copy(
        update={
            "training": report.training or snapshot.summary,
            "checkpoint": report.checkpoint or snapshot.progress.checkpoint,
            "curve": shortened(snapshot.progress.curve, MAX_CURVE),
        }
    )


def _cause(results: RankResults) -> ExitReport:
    own = [one for one in results.reports if not one.collateral]
    if own:
        worst = min(own, key=lambda one: (CAUSES.index(one.report.exit_class), one.rank)).report
        missing = results.processes - len(results.reports)
        if worst.exit_class is not ExitClass.COMPLETE or not (missing or results.agent_exit_code):
            if worst.exit_class is ExitClass.INFRASTRUCTURE and results.is_stop_requested:
                return _preempted(worst.message)
            return worst
    if results.was_out_of_memory:
        return ExitReport(
            exit_class=ExitClass.OUT_OF_MEMORY,
            message="the kernel killed a training process because the pod's memory was used up; "
            "raise the profile's memory, lower spec.training.microBatchSize, or raise "
            "spec.parallelism.tensor or .pipeline",
        )
    if results.hang is not None:
        return ExitReport(exit_class=ExitClass.HANG, message=results.hang)
    if results.agent_failure is not None and not results.is_stop_requested:
        return results.agent_failure
    message = _describe_lost_ranks(results)
    if results.is_stop_requested:
        return _preempted(message)
    return ExitReport(exit_class=ExitClass.INFRASTRUCTURE, message=message)


def _preempted(reason: str) -> ExitReport:
    return ExitReport(
        exit_class=ExitClass.PREEMPTED,
        message=f"the node asked the pod to end, and no checkpoint could be saved: {reason}",
    )


def _describe_lost_ranks(results: RankResults) -> str:
    """Return what happened to ranks that could not report their own failure."""
    reported = {one.rank for one in results.reports}
    silent = [one for one in results.killed if one.rank not in reported]
    if silent:
        return "; ".join(_describe_end(one) for one in silent)
    collateral = [one for one in results.reports if one.collateral]
    if collateral:
        return collateral[0].report.message
    if results.agent_exit_code < 0:
        return f"torchrun's agent {_signal_of(-results.agent_exit_code)}, and its ranks with it"
    return f"the training processes ended with exit code {results.agent_exit_code} and no report"


def _describe_end(killed: KilledRank) -> str:
    if killed.exit_code >= 0:
        return f"rank {killed.rank} ended with exit code {killed.exit_code}, without a report"
    return f"rank {killed.rank} {_signal_of(-killed.exit_code)}"


def _signal_of(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"was killed by {name}"


def fit_termination_message(report: ExitReport) -> ExitReport:
    """Return `report` shortened to the size of a termination message, with all of its parts.

    First prompts and continuations are shortened, then the curve loses points, then the last
    continuations are dropped.
    """
    for prompt, text, points in ((200, 200, 24), (60, 200, 24), (40, 80, 16), (30, 40, 8)):
        report = report.model_copy(
            update={
                "curve": shortened(report.curve, points),
                "training": _shortened_texts(report.training, prompt, text),
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


def _shortened_texts(
    summary: TrainingSummary | None, prompt: int, text: int
) -> TrainingSummary | None:
    if summary is None:
        return None
    continuations = [
        Continuation(prompt=one.prompt[:prompt], text=one.text[:text])
        for one in summary.continuations
    ]
    return summary.model_copy(update={"continuations": continuations})
