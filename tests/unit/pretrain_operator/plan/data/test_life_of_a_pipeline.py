"""A DataPipeline under any sequence of failures, edits, crashes and Jobs that vanish.

`Life` plays the Job controller, the nodes and the user around the plan of a data kind. The operator
may die after it has created a Job, before the status.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import (
    NOW,
    artifact,
    complete_job,
    failed_pod,
    make_job,
    make_object,
    make_pod,
    pipeline_spec,
    profile_spec,
    succeeded_pod,
)
from pretrain_api.meta import RETRY_ANNOTATION
from pretrain_api.reports import ExitClass
from pretrain_api.runs import PIPELINE_STAGES
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_operator.observed.annotations import PLACEMENT_ANNOTATION
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.objects import ListedObjects
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.states import Phase
from pretrain_operator.plan.data.data_kinds import plan_data_object
from pretrain_operator.plan.placement import plan_placement
from pretrain_operator.plan.plans import DataPlan, StageJob
from pretrain_operator.status.data_kinds import data_status
from pretrain_operator.status.wire import to_wire

ENOUGH_RECONCILES = 12
EVICTED = {"disruption": "TerminationByKubelet", "reason": "Evicted"}


class Life:
    """A DataPipeline with two tasks a stage, and what happens to it."""

    def __init__(self) -> None:
        self.spec: dict[str, Any] = pipeline_spec()
        self.image, self.retries = 0, 0
        self.status: dict[str, Any] = {}
        self.jobs: dict[str, ObservedJob] = {}
        self.crashes = False
        self.known: set[str] = set()
        """Jobs of the current spec whose success the status has reported."""
        self.current = ""
        """The Job that was created last for what is asked for now."""
        self.created: list[str] = []
        self.has_failed = False
        """Whether it failed, and nothing has been changed since."""

    @property
    def phase(self) -> str:
        return str(self.status.get("phase"))

    @property
    def running(self) -> list[ObservedJob]:
        jobs = self.jobs.values()
        return [job for job in jobs if job.parallelism and not (job.is_finished or job.deleting)]

    @property
    def profile(self) -> dict[str, Any]:
        return profile_spec(images={"data": f"pretrain-data:{self.image}"})

    @property
    def placement(self) -> str:
        return plan_placement(ComputeProfileSpec.model_validate(self.profile), "data").digest

    def observe(self) -> Observation:
        profile = make_object("ComputeProfile", "cpu", spec=self.profile)
        owner = make_object(
            "DataPipeline",
            spec=self.spec,
            status=self.status,
            annotations={RETRY_ANNOTATION: str(self.retries)},
        )
        return Observation(owner, tuple(self.jobs.values()), related=ListedObjects([profile]))

    def reconcile(self) -> bool:
        """Carry out one plan; return whether there was anything to do."""
        observed = self.observe()
        plan = plan_data_object(observed, NOW)
        status = to_wire(data_status(observed, plan, NOW))
        self.carry_out(plan)
        if self.crashes and plan.create:
            self.crashes = False
            return True
        is_news = status != self.status
        self.status = status
        done = {name for name, job in self.jobs.items() if job.complete and job.pods}
        self.known |= done & {stage["job"] for stage in status["stages"]}
        return is_news or bool(plan.create or plan.delete or plan.resize)

    def carry_out(self, plan: DataPlan) -> None:
        for name in plan.delete:
            assert not self.is_needed(self.jobs[name]), f"{name} does what is asked for"
            self.jobs[name] = replace(self.jobs[name], deleting=True)
        if plan.resize is not None:
            job = self.jobs[plan.resize.job]
            self.jobs[job.name] = replace(job, parallelism=plan.resize.parallelism)
        if plan.create is not None:
            assert isinstance(plan.create, StageJob)
            self.create(plan.create)

    def is_needed(self, job: ObservedJob) -> bool:
        """Return whether a Job does what is asked for, or has reported that it did."""
        is_placed = job.annotations[PLACEMENT_ANNOTATION] == self.placement
        runs = any(pod.phase == "Running" for pod in job.pods)
        is_under_way = job.name == self.current and not job.complete
        return (is_under_way and (is_placed or runs)) or job.name in self.known

    def create(self, stage: StageJob) -> None:
        assert stage.name not in self.jobs, "a Job is never created over another one"
        assert stage.name not in self.known, f"{stage.stage} was done, and the status said so"
        assert not self.running, "two stages at once"
        assert not self.has_failed, "it goes on although nobody has changed anything"
        self.created.append(stage.name)
        self.current = stage.name
        self.jobs[stage.name] = make_job(
            stage.name,
            [make_pod(rank, "Pending", stage.name) for rank in range(stage.tasks)],
            stage=stage.stage,
            completions=stage.tasks,
            parallelism=stage.parallelism,
            annotations={PLACEMENT_ANNOTATION: stage.placement.digest},
        )

    def settle(self) -> None:
        """Reconcile until there is nothing left to do."""
        for _ in range(ENOUGH_RECONCILES):
            is_busy = self.reconcile()
            leaving = [name for name, job in self.jobs.items() if job.deleting]
            for name in leaving:
                del self.jobs[name]
            if not is_busy and not leaving:
                self.has_failed = self.phase == Phase.FAILED
                return
        raise AssertionError(f"the plan never comes to rest: {self.status['message']}")

    def succeed(self) -> None:
        for job in self.running:
            report = {"artifact": artifact(str(self.spec.get("rules")))}
            fields = report if job.stage in ("list", "report") else {}
            pods = [succeeded_pod(rank, job.name, **fields) for rank in range(job.completions)]
            done = complete_job(job.name, pods, stage=job.stage, annotations=job.annotations)
            self.jobs[job.name] = done

    def complete(self) -> None:
        """Let all stages succeed."""
        for _ in PIPELINE_STAGES:
            self.succeed()
            self.settle()

    def start(self) -> None:
        for job in self.running:
            pods = [make_pod(pod.rank, "Running", job.name) for pod in job.pods]
            self.jobs[job.name] = replace(job, pods=tuple(pods))

    def fail(self, reason: ExitClass) -> None:
        for job in self.running:
            pod = failed_pod(0, job.name, exit_class=reason, message="why")
            self.jobs[job.name] = replace(job, failed=True, pods=(pod,))

    def evict(self) -> None:
        """Let nodes put the first task out until it is given up."""
        for job in self.running:
            pods = [make_pod(0, "Failed", job.name, uid=str(n), **EVICTED) for n in range(4)]
            self.jobs[job.name] = replace(job, pods=tuple(pods))

    def forget_pods(self) -> None:
        """Remove the pods of all Jobs that have ended, as the garbage collector does."""
        self.known &= {stage["job"] for stage in self.status.get("stages", ())}
        for job in self.jobs.values():
            if job.is_finished:
                self.jobs[job.name] = replace(job, pods=())

    def remove_jobs(self, one_in: int) -> None:
        for name in list(self.jobs)[::one_in]:
            del self.jobs[name]

    def remove_finished_jobs(self) -> None:
        self.jobs = {job.name: job for job in self.running}

    def crash(self) -> None:
        """Let the operator die after its next creation, and start again."""
        self.crashes = True

    def lose_status(self) -> None:
        self.status = {}
        self.ask_anew()

    def edit(self, length: int) -> None:
        rules = [{"length": {"minCharacters": length}}]
        if self.spec.get("rules") != rules:
            self.spec = {**self.spec, "rules": rules}
            self.ask_anew()

    def ask_anew(self) -> None:
        """Take note that earlier Jobs, and what is known of them, need not count any more."""
        self.known, self.current, self.has_failed = set(), "", False

    def resize(self, parallelism: int) -> None:
        self.spec = {**self.spec, "parallelism": parallelism}

    def change_profile(self) -> None:
        self.image += 1
        self.has_failed = False

    def try_again(self) -> None:
        self.retries += 1
        self.ask_anew()


Event = Callable[[Life], None]
EVENTS: list[Event] = [
    *[Life.succeed] * 6,
    *[Life.complete] * 2,
    Life.start,
    Life.start,
    partial(Life.fail, reason=ExitClass.PROGRAM_ERROR),
    partial(Life.fail, reason=ExitClass.BAD_DATA),
    Life.evict,
    Life.forget_pods,
    partial(Life.remove_jobs, one_in=1),
    partial(Life.remove_jobs, one_in=2),
    Life.crash,
    Life.lose_status,
    partial(Life.edit, length=9),
    partial(Life.edit, length=99),
    partial(Life.resize, parallelism=1),
    partial(Life.resize, parallelism=2),
    Life.change_profile,
    Life.try_again,
    Life.try_again,
]


@settings(max_examples=60)
@given(events=st.lists(st.sampled_from(EVENTS), min_size=8, max_size=30))
def test_whatever_happens_no_work_is_done_twice_or_lost_and_it_comes_to_an_end(
    events: list[Event],
) -> None:
    life = Life()
    life.settle()
    for event in events:
        event(life)
        life.settle()
    for _ in range(2 * len(PIPELINE_STAGES)):
        if life.phase == Phase.FAILED:
            life.try_again()
            life.settle()
        life.succeed()
        life.settle()
    assert life.phase == Phase.COMPLETE
    assert life.status["artifact"] == to_wire(artifact(str(life.spec.get("rules"))))


def test_a_failure_that_only_the_user_can_mend_stays_when_its_pods_are_gone() -> None:
    life = Life()
    life.settle()
    life.fail(ExitClass.BAD_DATA)
    life.settle()
    message = life.status["message"]
    life.change_profile()
    life.settle()
    life.forget_pods()
    life.settle()
    assert life.phase == Phase.FAILED
    assert life.status["message"] == message
    assert len(life.created) == 1


@given(
    done=st.integers(0, 5),
    disturb=st.sampled_from([Life.forget_pods, Life.remove_finished_jobs, Life.change_profile]),
)
def test_what_the_status_has_reported_needs_no_job_and_no_pods_any_more(
    done: int, disturb: Event
) -> None:
    life = Life()
    life.settle()
    for _ in range(done):
        life.succeed()
        life.settle()
    before = life.status["stages"]
    disturb(life)
    life.settle()
    for _ in range(len(PIPELINE_STAGES) - done):
        life.succeed()
        life.settle()
    assert life.phase == Phase.COMPLETE
    again = 1 if disturb is Life.change_profile else 0
    assert len(life.created) == len(PIPELINE_STAGES) + again, "only a Job that had not started"
    assert life.status["stages"][:done] == before[:done]
