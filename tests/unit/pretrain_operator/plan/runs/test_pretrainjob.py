from datetime import timedelta
from typing import Any

from builders import NOW, make_body, make_object, profile_spec, run_spec
from pretrain_api.conditions import Reason
from pretrain_operator.observed.objects import ListedObjects, parse_object
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.states import Phase
from pretrain_operator.plan.plans import RunPlan
from pretrain_operator.plan.runs.pretrainjob import is_settled, needs_search, plan_pretrainjob
from pretrain_operator.status.pretrainjob import pretrainjob_status
from pretrain_operator.status.wire import to_wire


def observed(per_node: int = 2, **changes: Any) -> Observation:
    """Return a run and a profile; the dataset of the run does not exist yet."""
    spec = profile_spec(accelerator={"name": "cpu", "perNode": per_node})
    profile = parse_object("ComputeProfile", make_body("ComputeProfile", "cpu", spec=spec))
    return Observation(
        make_object("PretrainJob", "run", **changes), related=ListedObjects([profile])
    )


def finished(kind: str) -> dict[str, Any]:
    condition = {
        "type": kind,
        "status": "True",
        "reason": "Complete",
        "lastTransitionTime": NOW.isoformat(),
    }
    attempt = {"number": 1, "job": "run-a1", "reason": "complete"}
    return {"observedGeneration": 1, "conditions": [condition], "attempts": [attempt]}


def test_a_run_keeps_the_layout_that_it_started_with() -> None:
    spec = run_spec(parallelism={"nodes": 2})
    first = plan_pretrainjob(observed(2, spec=spec), NOW).prediction
    assert first is not None
    status = {"plan": to_wire(first), "attempts": [{"number": 1, "job": "run-a1"}]}
    later = plan_pretrainjob(observed(8, spec=spec, status=status), NOW).prediction
    assert later is not None
    assert later.parallelism == first.parallelism
    other = plan_pretrainjob(observed(8, spec=spec), NOW).prediction
    assert other is not None
    assert other.world_size == 16


def test_an_invalid_run_reports_all_problems_and_keeps_its_attempts() -> None:
    status = {"attempts": [{"number": 1, "job": "run-a1", "reason": "complete"}]}
    spec = run_spec(suspend="maybe", data={})
    plan = plan_pretrainjob(observed(spec=spec, status=status), NOW)
    assert (plan.state.phase, plan.state.reason) == (Phase.INVALID, Reason.INVALID_SPEC)
    assert "spec.suspend: " in plan.state.message
    assert "spec.data.datasetRef: is required" in plan.state.message
    assert [attempt.number for attempt in plan.attempts] == [1]


def test_an_attempt_that_is_due_waits_for_its_dataset() -> None:
    plan = plan_pretrainjob(observed(), NOW)
    assert (plan.state.phase, plan.state.reason) == (Phase.WAITING, Reason.DEPENDENCY_NOT_FOUND)
    assert plan.create is None
    assert pretrainjob_status(observed(), plan, NOW).attempts == []


def test_only_a_run_that_has_not_started_may_need_a_search() -> None:
    assert needs_search(observed())
    assert not needs_search(observed(status=finished("Complete")))


def test_a_finished_run_is_deleted_after_its_time_to_live() -> None:
    spec = run_spec(ttlAfterFinished="1h")

    def after(seconds: float) -> RunPlan:
        run = observed(spec=spec, status=finished("Complete"))
        return plan_pretrainjob(run, NOW + timedelta(seconds=seconds))

    early = after(600)
    assert (early.delete_owner, early.requeue_after_seconds) == (False, 3000)
    late = after(3600)
    assert (late.delete_owner, late.requeue_after_seconds) == (True, None)


def test_a_run_is_settled_until_the_user_changes_it() -> None:
    done = finished("Complete")
    assert is_settled(observed(status=done))
    assert not is_settled(observed(status=done, generation=2))
    retried = {"pretrain.dev/retry": "1"}
    assert not is_settled(observed(status=finished("Failed"), annotations=retried))
    assert not is_settled(observed())
