"""Plans of PretrainJobs: chosen layouts, errors that name what would do, warnings."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preset_runs import H100, preset_run
from pretrain_api.formulas.stages import stage_layers
from pretrain_api.problems import InvalidManifest, parse
from pretrain_api.rules import Problem, check
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.plan import PlanStatus
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.planner.resource_plan import ResourcePlan, plan_resources
from spec_strategies import specs


def errors(plan: ResourcePlan) -> list[Problem]:
    return [problem for problem in plan.problems if problem.is_refusal]


def test_a_job_without_degrees_gets_a_layout_that_keeps_every_rule() -> None:
    plan = plan_resources(preset_run({"nodes": 4}, "llama3-70b"), H100, 128_256)
    assert not errors(plan)
    assert plan.status is not None
    assert plan.status.parallelism == plan.spec.parallelism
    assert not plan.spec.parallelism.is_left_to_planner
    assert 1 < len(plan.status.candidates) <= 5
    assert plan.status.memory_per_gpu.total <= (plan.status.memory_per_gpu.limit or 0)
    assert not [p for p in check("PretrainJob", plan.spec) if p.is_refusal]


def test_the_numbers_of_a_plan_agree_with_each_other() -> None:
    status = plan_resources(
        preset_run({"nodes": 2, "tensor": 2, "pipeline": 2}), H100, 128_256
    ).status
    assert status is not None
    assert status.world_size == 16 == status.data_parallel * 2 * 2
    assert status.micro_batches == 512 // status.data_parallel
    assert status.tokens_per_step == 512 * 8192
    assert status.steps == 100 * 10**9 // status.tokens_per_step
    assert status.parameters == 8_030_261_248
    assert sum(stage.layers for stage in status.stages) == 32
    assert status.memory_per_gpu.total == max(stage.memory.total for stage in status.stages)
    seconds = status.predicted_step_seconds or 0
    assert (status.predicted_step_seconds_low or 0) < seconds
    assert status.days == pytest.approx(status.steps * seconds / 86400, rel=1e-3)
    assert 0.2 < (status.predicted_mfu or 0) < 0.7
    assert PlanStatus.model_validate(status.model_dump(mode="json", by_alias=True)) == status


def test_too_little_memory_is_refused_with_two_layouts_that_fit() -> None:
    plan = plan_resources(preset_run({"nodes": 4, "tensor": 1, "pipeline": 1}, "llama3-70b"), H100)
    [error] = errors(plan)
    assert error.rule == "memory"
    assert "these fit: " in error.message
    assert " or " in error.message
    assert plan.status is not None


def test_nothing_that_fits_asks_for_more_nodes() -> None:
    [error] = errors(plan_resources(preset_run({"nodes": 1}, "llama3-405b"), H100))
    assert "use more nodes" in error.message


def test_the_nodes_of_the_profile_are_held_against_the_rules() -> None:
    plan = plan_resources(preset_run({"nodes": 1, "tensor": 2, "pipeline": 32}), H100)
    assert "world-grid" in [error.rule for error in errors(plan)]
    assert plan.status is None


def test_a_vocabulary_below_the_tokenizers_is_refused() -> None:
    spec = preset_run({"nodes": 1})
    small = spec.model.model_copy(update={"vocabulary_size": 1000})
    [error] = errors(plan_resources(spec.model_copy(update={"model": small}), H100, 32_000))
    assert "use 32000 or more" in error.message


def test_what_cannot_run_yet_is_planned_and_refused() -> None:
    plan = plan_resources(preset_run({"nodes": 4, "tensor": 2}, precision="fp8"), H100)
    assert [error.rule for error in errors(plan)] == ["not-yet-fp8"]
    assert plan.status is not None
    assert plan.status.predicted_step_seconds


def test_an_unknown_device_is_planned_without_time() -> None:
    profile = ComputeProfileSpec.model_validate({"accelerator": {"name": "tpu", "perNode": 4}})
    plan = plan_resources(preset_run({"nodes": 1, "tensor": 2}), profile)
    assert not errors(plan)
    assert plan.status is not None
    assert plan.status.predicted_step_seconds is None
    assert plan.status.memory_per_gpu.limit is None


def test_waste_is_warned_of() -> None:
    spec = preset_run({"nodes": 4, "tensor": 2, "pipeline": 4}, "llama3.2-1b", globalBatchSize=4)
    plan = plan_resources(spec, H100, 128_256, unique_tokens=10**9)
    rules = {problem.rule for problem in plan.problems}
    assert {"pipeline-bubble", "many-epochs"} <= rules
    assert not errors(plan)
    assert plan.status is not None
    assert len(plan.status.warnings) == len(plan.problems)


def test_notes_say_who_can_serve_the_model() -> None:
    notes = " ".join(plan_resources(preset_run({"nodes": 4}), H100).notes)
    assert "1 × rtx4090" in notes


@settings(deadline=None, max_examples=40)
@given(spec=specs(), device=st.sampled_from(["h100", "a100-40gb", "cpu", "unknown"]))
def test_any_valid_spec_is_planned_without_an_exception(spec: dict[str, Any], device: str) -> None:
    profile = ComputeProfileSpec.model_validate({"accelerator": {"name": device, "perNode": 8}})
    try:
        parsed = parse(PretrainJobSpec, spec)
    except InvalidManifest:
        return
    plan = plan_resources(parsed, profile)
    assert plan.status is not None or errors(plan)
    if plan.status is not None:
        layout = plan.spec.parallelism
        assert sum(stage_layers(layout, parsed.model.layers)) == parsed.model.layers


@pytest.mark.parametrize(("size", "is_told"), [(None, True), (128_256, False), (32_000, False)])
def test_a_vocabulary_is_called_assumed_only_if_nothing_gives_its_size(
    size: int | None, is_told: bool
) -> None:
    plan = plan_resources(preset_run({"nodes": 1}, "llama3-8b"), H100, size)
    assert any("was assumed" in note for note in plan.notes) is is_told
