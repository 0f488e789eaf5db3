"""A run under any sequence of ends, crashes, edits and lost nodes: what its attempts never do.

`Life` plays the Job controller, the nodes and the user around `plan_attempts`. The operator may die
between the two writes of a plan: after it has created a Job, before the status. Only a Job that
vanishes before the status has named it leaves no trace, so that is not played.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import (
    NOW,
    failed_pod,
    make_job,
    make_object,
    make_observed_run,
    make_pod,
    parsed_run,
    succeeded_pod,
)
from pretrain_api.meta import RETRY_ANNOTATION
from pretrain_api.reports import ExitClass
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus, Budgets, PretrainJobStatus
from pretrain_operator.observed.annotations import PLACEMENT_ANNOTATION
from pretrain_operator.observed.clock import format_time, parse_time
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.pods import ObservedPod
from pretrain_operator.observed.states import Phase, State
from pretrain_operator.plan.names import attempt_job_name
from pretrain_operator.plan.plans import RunPlan
from pretrain_operator.plan.runs.attempts import REPLACED, SHOWN_ATTEMPTS, SUSPENDED
from pretrain_operator.plan.runs.next_attempt import plan_attempts

FREE = (ExitClass.COMPLETE, ExitClass.PREEMPTED, SUSPENDED, REPLACED)
FINAL = (ExitClass.USER_ERROR, ExitClass.BAD_DATA)
INFRASTRUCTURE = (ExitClass.INFRASTRUCTURE, ExitClass.HANG)
ROLLBACK = (ExitClass.LOSS_SPIKE, ExitClass.NOT_A_NUMBER)
ENOUGH_RECONCILES = 20


@dataclass(frozen=True)
class Ended:
    """The end of an attempt as it was first reported."""

    reason: str
    at: datetime
    retry: str | None


class Life:
    """A PretrainJob of two pods, and what happens to it."""

    def __init__(self, budgets: Budgets) -> None:
        self.budgets = budgets
        self.now = NOW
        self.jobs: dict[str, ObservedJob] = {}
        self.orphans: list[ObservedPod] = []
        """Pods whose Job is gone, and that have not ended yet."""
        self.nodes_answer = True
        self.status = PretrainJobStatus()
        self.finished: State | None = None
        self.suspend, self.retries, self.placement = False, 0, "first"
        self.crashes = False
        self.created: dict[int, str | None] = {}
        """The attempts, each with the value of the retry annotation when it was created."""
        self.ends: dict[int, Ended] = {}

    @property
    def retry(self) -> str | None:
        return str(self.retries) if self.retries else None

    @property
    def has_failed(self) -> bool:
        return self.finished is not None and self.finished.phase is Phase.FAILED

    @property
    def active(self) -> list[ObservedJob]:
        return [job for job in self.jobs.values() if not job.is_finished]

    def plan(self) -> RunPlan:
        pods = [pod for job in self.jobs.values() for pod in job.pods]
        annotations = {RETRY_ANNOTATION: self.retry} if self.retry else {}
        recovery = {"budgets": self.budgets.model_dump(by_alias=True, exclude_none=True)}
        run = make_observed_run(
            owner=make_object("PretrainJob", "run", annotations=annotations),
            spec=parsed_run(suspend=self.suspend, recovery=recovery),
            status=self.status,
            jobs=tuple(self.jobs.values()),
            pods=(*pods, *self.orphans),
            placement=self.placement,
            finished=self.finished,
        )
        plan = plan_attempts(run, self.now)
        assert plan_attempts(run, self.now) == plan
        return plan

    def reconcile(self) -> RunPlan:
        plan = self.plan()
        for name in plan.delete:
            self.vanish(self.jobs[name])
        started = () if plan.due is None else (self.create(plan.due),)
        if self.crashes and started:
            self.crashes = False
            return plan
        self.note_ends(plan.attempts)
        self.status = PretrainJobStatus(attempts=[*plan.attempts, *started])
        self.finished = plan.state if plan.state.is_finished else None
        return plan

    def settle(self) -> None:
        """Reconcile until an attempt runs, or the run is suspended or finished."""
        for _ in range(ENOUGH_RECONCILES):
            plan = self.reconcile()
            newest = self.status.attempts[-1] if self.status.attempts else None
            is_known = not self.created or (newest and newest.number == max(self.created))
            is_running = any(not job.deleting for job in self.active) and not self.suspend
            if is_known and (is_running or self.finished or (self.suspend and not self.active)):
                return
            self.now = max(plan.requeue_at or self.now, self.now + timedelta(seconds=1))
            if self.nodes_answer:
                self.orphans = []
            self.jobs = {name: job for name, job in self.jobs.items() if not job.deleting}
        raise AssertionError(f"the run does not go on: {self.plan().state}")

    def create(self, number: int) -> AttemptStatus:
        assert number > max(self.created, default=0), "a number was used twice"
        assert self.active == [], "two attempts at once"
        assert all(pod.is_lost(self.now) for pod in self.orphans), "pods of two attempts at once"
        assert not self.suspend
        self.require_budgets()
        self.created[number] = self.retry
        name = attempt_job_name("run", number)
        annotations = {PLACEMENT_ANNOTATION: self.placement}
        if self.retry is not None:
            annotations[RETRY_ANNOTATION] = self.retry
        pods = [make_pod(rank, "Pending", name) for rank in range(2)]
        self.jobs[name] = make_job(
            name, pods, attempt=number, completions=2, annotations=annotations
        )
        return AttemptStatus(number=number, job=name, retry=self.retry)

    def require_budgets(self) -> None:
        """Check that the ends since the last retry leave the budgets for another attempt.

        All ends are counted here: the status may forget those that no budget counts.
        """
        ends = [end for end in self.ends.values() if end.retry == self.retry]
        assert not [end for end in ends if end.reason in FINAL], "only the user can help"
        lost = [end for end in ends if end.reason in INFRASTRUCTURE]
        undone = [end for end in ends if end.reason in ROLLBACK]
        paid = [end for end in ends if end.reason not in (*FREE, *INFRASTRUCTURE, *ROLLBACK)]
        # A budget is looked at when an attempt has ended for its reason.
        last = ends[-1].reason if ends else None
        window = self.budgets.infrastructure.window
        if window:
            lost = [end for end in lost if end.at >= self.now - timedelta(seconds=window)]
        assert len(lost) <= self.budgets.infrastructure.max or last not in INFRASTRUCTURE
        assert len(paid) <= self.budgets.user.max
        assert len(undone) <= self.budgets.rollback.max

    def note_ends(self, attempts: tuple[AttemptStatus, ...]) -> None:
        numbers = [attempt.number for attempt in attempts]
        assert numbers == sorted(set(numbers))
        for attempt in attempts:
            assert attempt.retry == self.created[attempt.number]
            if attempt.reason is not None:
                assert attempt.ended_at is not None
                end = Ended(attempt.reason, parse_time(attempt.ended_at), attempt.retry)
                assert self.ends.setdefault(attempt.number, end) == end, "told differently"

    def pods_start(self) -> None:
        for job in self.active:
            pods = [make_pod(pod.rank, "Running", job.name) for pod in job.pods]
            self.jobs[job.name] = replace(job, pods=tuple(pods))

    def end(self, reason: ExitClass, rank: int) -> None:
        """Let the running attempt end; the other pod tells of a lost connection."""
        for job in self.active:
            cause = failed_pod(rank, job.name, exit_class=reason, message="why")
            if reason is ExitClass.PREEMPTED:
                cause = replace(cause, disruption="PreemptionByScheduler")
            other = failed_pod(1 - rank, job.name, exit_class=ExitClass.INFRASTRUCTURE)
            self.finish(replace(job, failed=True), cause, other)

    def end_often(self) -> None:
        """Let attempts be preempted until the status no longer shows all of them."""
        for _ in range(SHOWN_ATTEMPTS + 1):
            self.end(ExitClass.PREEMPTED, rank=0)
            self.settle()

    def complete(self) -> None:
        for job in self.active:
            pods = (succeeded_pod(rank, job.name) for rank in (0, 1))
            self.finish(replace(job, complete=True), *pods)

    def finish(self, job: ObservedJob, *pods: ObservedPod) -> None:
        self.jobs[job.name] = replace(job, pods=pods, finished_at=format_time(self.now))

    def vanish(self, job: ObservedJob) -> None:
        del self.jobs[job.name]
        by = format_time(self.now + timedelta(seconds=30))
        self.orphans += [replace(pod, deleted_by=by) for pod in job.pods if not pod.is_over]

    def delete_jobs(self, foreground: bool) -> None:
        """Delete all Jobs as somebody else: with `foreground` they stay until their pods ended."""
        for job in list(self.jobs.values()):
            if foreground:
                self.jobs[job.name] = replace(job, deleting=True)
            else:
                self.vanish(job)

    def crash(self) -> None:
        """Let the operator die after its next creation, and start again."""
        self.crashes = True

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def set_suspend(self, suspend: bool) -> None:
        self.suspend = suspend

    def try_again(self) -> None:
        self.retries += 1

    def change_profile(self) -> None:
        self.placement += "+"

    def lose_nodes(self, lost: bool) -> None:
        self.nodes_answer = not lost


Event = Callable[[Life], None]
CAUSES = (*INFRASTRUCTURE, ExitClass.PREEMPTED, ExitClass.PROGRAM_ERROR, ExitClass.LOSS_SPIKE)
EVENTS: list[Event] = [
    *(partial(Life.end, reason=reason, rank=rank) for reason in CAUSES for rank in (0, 1)),
    partial(Life.end, reason=ExitClass.USER_ERROR, rank=0),
    partial(Life.delete_jobs, foreground=True),
    partial(Life.delete_jobs, foreground=False),
    partial(Life.wait, seconds=70),
    partial(Life.wait, seconds=4000),
    partial(Life.set_suspend, suspend=True),
    partial(Life.set_suspend, suspend=False),
    partial(Life.lose_nodes, lost=True),
    partial(Life.lose_nodes, lost=False),
    Life.pods_start,
    Life.crash,
    Life.try_again,
    Life.try_again,
    Life.change_profile,
    Life.end_often,
    Life.complete,
]

BUDGETS = st.builds(
    lambda infrastructure, window, user: Budgets.model_validate(
        {"infrastructure": {"max": infrastructure, "window": window}, "user": {"max": user}}
    ),
    st.integers(0, 4),
    st.sampled_from([None, 3600]),
    st.integers(0, 3),
)


@settings(max_examples=100)
@given(budgets=BUDGETS, events=st.lists(st.sampled_from(EVENTS), min_size=10, max_size=40))
def test_whatever_happens_attempts_stay_apart_within_their_budgets_and_come_to_an_end(
    budgets: Budgets, events: list[Event]
) -> None:
    life = Life(budgets)
    life.settle()
    for event in events:
        is_retried = event is Life.try_again and life.has_failed
        event(life)
        life.settle()
        assert not is_retried or life.suspend or life.active, "a retry was not heard"
    life.set_suspend(suspend=False)
    life.settle()
    life.complete()
    life.settle()
    assert life.finished is not None


@given(BUDGETS, st.integers(20, 60))
def test_free_ends_without_number_neither_fail_a_run_nor_fill_its_status(
    budgets: Budgets, times: int
) -> None:
    life = Life(budgets)
    life.settle()
    for _ in range(times):
        life.end(ExitClass.PREEMPTED, rank=0)
        life.settle()
    assert list(life.created) == list(range(1, times + 2))
    assert len(life.status.attempts) <= SHOWN_ATTEMPTS + 1
