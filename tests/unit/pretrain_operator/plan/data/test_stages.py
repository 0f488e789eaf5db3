"""Which stage follows, and which Jobs are created, deleted and resized for it."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from builders import artifact, make_job, make_pod
from pretrain_api.runs import PIPELINE_STAGES
from pretrain_operator.observed.annotations import PLACEMENT_ANNOTATION
from pretrain_operator.observed.states import Phase
from pretrain_operator.plan.plans import JobSize
from stage_plans import PLACED, created, finish, first_job, plan, run_to_end, status_after


def test_stages_follow_each_other_and_end_with_the_artifact() -> None:
    jobs, plans = run_to_end(tasks=3)
    assert [job.stage for job in jobs] == list(PIPELINE_STAGES)
    assert [job.completions for job in jobs] == [1, 3, 3, 1, 3, 1]
    assert plans[-1].state.phase is Phase.COMPLETE
    assert plans[-1].artifact == artifact()
    assert plans[-1].delete == ()


def test_later_stages_read_the_artifact_that_the_first_one_named() -> None:
    _, plans = run_to_end()
    runs = [step.create.run for step in plans if step.create]
    assert [getattr(run, "artifact", None) for run in runs] == [None] + [artifact()] * 5


@given(st.integers(0, 6), st.integers(1, 4))
def test_planning_twice_gives_the_same(done: int, tasks: int) -> None:
    jobs, _ = run_to_end(tasks=tasks)
    first = plan(jobs[:done], tasks=tasks)
    second = plan(jobs[:done], status_after(first), tasks=tasks)
    assert (second.create, second.stages) == (first.create, first.stages)


def test_an_existing_artifact_skips_all_other_stages() -> None:
    reused = finish(first_job(), artifact=artifact(), reused=True)
    after = plan([reused])
    assert (after.state.phase, after.create, after.artifact) == (
        Phase.COMPLETE,
        None,
        artifact(),
    )


def test_a_changed_spec_gets_other_jobs_and_stops_the_old_ones() -> None:
    old = first_job()
    running = make_job(old.name, [make_pod()], annotations=PLACED)
    after = plan([running], sources=[{"name": "web", "uri": "file:///pretrain/data/new/*.jsonl"}])
    assert created(after).name != old.name
    assert after.delete == (old.name,)


def test_finished_jobs_of_an_older_spec_stay_until_the_new_artifact_is_named() -> None:
    jobs, _ = run_to_end()
    rules = [{"length": {"minCharacters": 100}}]
    during = plan(jobs, rules=rules)
    assert during.delete == ()
    listed = finish(created(during), artifact=artifact("other"))
    assert set(plan([*jobs, listed], rules=rules).delete) == {job.name for job in jobs}


def test_a_new_placement_does_not_run_finished_stages_again() -> None:
    jobs, _ = run_to_end()
    moved = [replace(job, annotations={PLACEMENT_ANNOTATION: "elsewhere"}) for job in jobs]
    assert plan(moved).state.phase is Phase.COMPLETE


def test_a_job_that_could_not_start_is_replaced_when_its_placement_changes() -> None:
    name = first_job().name
    stuck = make_pod(0, "Pending", waiting="ErrImagePull: no such image")
    job = make_job(name, [stuck], annotations={PLACEMENT_ANNOTATION: "elsewhere"})
    assert plan([job]).delete == (name,)
    started = replace(job, pods=(make_pod(0, "Running"),))
    assert plan([started]).delete == ()


def test_other_parallelism_resizes_the_running_job_and_changes_nothing_else() -> None:
    jobs, _ = run_to_end(tasks=4)
    name = created(plan(jobs[:1], tasks=4)).name
    running = make_job(name, annotations=PLACED, completions=4, parallelism=4)
    after = plan([*jobs[:1], running], tasks=4, parallelism=2)
    assert (after.resize, after.create, after.delete) == (JobSize(name, 2), None, ())


def test_a_finished_stage_does_not_run_again_because_its_job_was_deleted() -> None:
    jobs, plans = run_to_end()
    after = plan(jobs[2:3], status_after(plans[3]))
    assert after.create == plan(jobs[:3]).create


def test_a_finished_stage_runs_again_if_its_reports_are_lost() -> None:
    jobs, _ = run_to_end()
    without_reports = replace(jobs[0], pods=())
    assert plan([without_reports]).delete == (jobs[0].name,)


def test_a_job_that_is_being_deleted_is_waited_for() -> None:
    after = plan([make_job(first_job().name, deleting=True)])
    assert (after.create, after.delete) == (None, ())
    assert "waits until" in after.state.message
