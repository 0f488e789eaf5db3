"""What is worth an Event: the steps from one status to the next, each told once.

A status that says the same again, as level-triggered reconciles do all the time, tells nothing.
"""

from collections.abc import Iterator, Sequence

from pretrain_api.conditions import Condition, ConditionType, Reason
from pretrain_api.reports import ExitClass
from pretrain_api.v1alpha1.computeprofile import ComputeProfileStatus
from pretrain_api.v1alpha1.data_status import DataStatus, StageStatus
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus, PretrainJobStatus
from pretrain_operator.build.event import EventRecord
from pretrain_operator.plan.data.stage_status import is_finished
from pretrain_operator.plan.runs.attempts import REPLACED, SUSPENDED

AnyStatus = DataStatus | PretrainJobStatus | ComputeProfileStatus

_EXPECTED = (ExitClass.COMPLETE, SUSPENDED, REPLACED)
"""Ends of an attempt that are nobody's fault."""

_WARNINGS = (ConditionType.STALLED, ConditionType.FAILED)
_NEWS = (ConditionType.SUSPENDED, ConditionType.COMPLETE)


def status_events(previous: AnyStatus, status: AnyStatus) -> tuple[EventRecord, ...]:
    """Return what has happened between two statuses of an object, in order."""
    told: list[EventRecord] = []
    before = {condition.type: condition for condition in previous.conditions}
    turned = [new for new in status.conditions if _is_news(before.get(new.type), new)]
    told += _acceptance(turned)
    if isinstance(previous, DataStatus) and isinstance(status, DataStatus):
        told += _finished_stages(previous.stages, status.stages)
    if isinstance(previous, PretrainJobStatus) and isinstance(status, PretrainJobStatus):
        told += _attempts(previous.attempts, status.attempts)
    # One state turns several conditions: what fails for good has stalled, too.
    return tuple(dict.fromkeys([*told, *_conditions(turned)]))


def _is_news(old: Condition | None, new: Condition) -> bool:
    if old is None or (old.status, old.reason) != (new.status, new.reason):
        return True
    is_refused = new.type == ConditionType.ACCEPTED and new.status == "False"
    return is_refused and old.observed_generation != new.observed_generation


def _acceptance(turned: Sequence[Condition]) -> Iterator[EventRecord]:
    for new in turned:
        if new.type == ConditionType.ACCEPTED and new.status == "True":
            yield EventRecord("Accepted", "the spec is valid")
        elif new.type == ConditionType.ACCEPTED:
            yield EventRecord(new.reason, new.message, is_warning=True)


def _conditions(turned: Sequence[Condition]) -> Iterator[EventRecord]:
    for new in turned:
        is_true = new.status == "True"
        if new.type == ConditionType.DATA_READY and new.status == "False":
            yield EventRecord(new.reason, new.message)
        elif new.type == ConditionType.READY and new.reason == Reason.WAITING_FOR_PODS:
            yield EventRecord(new.reason, new.message, is_warning=True)
        elif new.type in _WARNINGS and is_true and new.reason != Reason.INVALID_SPEC:
            yield EventRecord(new.reason, new.message, is_warning=True)
        elif new.type in _NEWS and is_true:
            yield EventRecord(new.reason, new.message)


def _finished_stages(
    before: Sequence[StageStatus], now: Sequence[StageStatus]
) -> Iterator[EventRecord]:
    known = {stage.job for stage in before if is_finished(stage)}
    for stage in now:
        if is_finished(stage) and stage.job not in known:
            tasks = "1 task" if stage.tasks == 1 else f"{stage.tasks} tasks"
            message = f"stage {stage.name} is done: {tasks}, {stage.seconds:.0f} s of work"
            yield EventRecord("StageFinished", message)


def _attempts(
    before: Sequence[AttemptStatus], now: Sequence[AttemptStatus]
) -> Iterator[EventRecord]:
    known = {attempt.number: attempt for attempt in before}
    for attempt in now:
        old = known.get(attempt.number)
        if old is None:
            yield EventRecord("AttemptStarted", f"attempt {attempt.number} is Job {attempt.job}")
        if attempt.reason is not None and (old is None or old.reason is None):
            message = f"attempt {attempt.number} ended ({attempt.reason})"
            message += f": {attempt.message}" if attempt.message else ""
            is_warning = attempt.reason not in _EXPECTED
            yield EventRecord("AttemptEnded", message, is_warning)
