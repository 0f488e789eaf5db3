"""Which Events to create: one for each transition between two statuses of an object.

Level-triggered reconciles repeat the same status all the time; that creates no Event.
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

_EXPECTED = (SUSPENDED, REPLACED)
"""Ends of an attempt that are no failure."""

_WAITING = (Reason.WAITING_FOR_PODS, Reason.NODE_UNREACHABLE)
_WARNINGS = (ConditionType.STALLED, ConditionType.FAILED)
_NORMAL = (ConditionType.SUSPENDED, ConditionType.COMPLETE)


def status_events(previous: AnyStatus, status: AnyStatus) -> tuple[EventRecord, ...]:
    """Return what has happened between two statuses of an object, in order."""
    records: list[EventRecord] = []
    before = {condition.type: condition for condition in previous.conditions}
    changed = [new for new in status.conditions if _has_changed(before.get(new.type), new)]
    records += _acceptance(changed)
    if isinstance(previous, DataStatus) and isinstance(status, DataStatus):
        records += _finished_stages(previous.stages, status.stages)
    if isinstance(previous, PretrainJobStatus) and isinstance(status, PretrainJobStatus):
        records += _attempts(previous.attempts, status.attempts)
    # One state may change several conditions: a failed object is also stalled.
    return tuple(dict.fromkeys([*records, *_conditions(changed)]))


def _has_changed(old: Condition | None, new: Condition) -> bool:
    if old is None or (old.status, old.reason) != (new.status, new.reason):
        return True
    is_refused = new.type == ConditionType.ACCEPTED and new.status == "False"
    return is_refused and old.observed_generation != new.observed_generation


def _acceptance(changed: Sequence[Condition]) -> Iterator[EventRecord]:
    for new in changed:
        if new.type == ConditionType.ACCEPTED and new.status == "True":
            yield EventRecord("Accepted", "the spec is valid")
        elif new.type == ConditionType.ACCEPTED:
            yield EventRecord(new.reason, new.message, is_warning=True)


def _conditions(changed: Sequence[Condition]) -> Iterator[EventRecord]:
    for new in changed:
        is_true = new.status == "True"
        if new.type == ConditionType.DATA_READY and new.status == "False":
            yield EventRecord(new.reason, new.message)
        elif new.type == ConditionType.READY and new.reason in _WAITING:
            yield EventRecord(new.reason, new.message, is_warning=True)
        elif new.reason == Reason.CHECKPOINT_UNSOUND:
            yield EventRecord(new.reason, new.message, is_warning=True)
        elif new.type in _WARNINGS and is_true and new.reason != Reason.INVALID_SPEC:
            yield EventRecord(new.reason, new.message, is_warning=True)
        elif new.type in _NORMAL and is_true:
            yield EventRecord(new.reason, new.message)


def _finished_stages(
    before: Sequence[StageStatus], now: Sequence[StageStatus]
) -> Iterator[EventRecord]:
    finished = {stage.job for stage in before if is_finished(stage)}
    for stage in now:
        if is_finished(stage) and stage.job not in finished:
            tasks = "1 task" if stage.tasks == 1 else f"{stage.tasks} tasks"
            message = f"stage {stage.name} is done: {tasks}, {stage.seconds:.0f} s of work"
            yield EventRecord("StageFinished", message)


def _attempts(
    before: Sequence[AttemptStatus], now: Sequence[AttemptStatus]
) -> Iterator[EventRecord]:
    previous = {attempt.number: attempt for attempt in before}
    for attempt in now:
        old = previous.get(attempt.number)
        if old is None:
            message = f"attempt {attempt.number} is Job {attempt.job}"
            if attempt.avoids:
                message += f"; its pods avoid {', '.join(attempt.avoids)}"
            yield EventRecord("AttemptStarted", message)
        has_ended = attempt.reason is not None and (old is None or old.reason is None)
        if has_ended and attempt.reason != ExitClass.COMPLETE:  # of that the run's own Event tells
            message = f"attempt {attempt.number} ended ({attempt.reason})"
            message += f": {attempt.message}" if attempt.message else ""
            is_warning = attempt.reason not in _EXPECTED
            yield EventRecord("AttemptEnded", message, is_warning)
