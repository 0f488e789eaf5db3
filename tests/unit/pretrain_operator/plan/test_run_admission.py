"""Admission of a run: planned before anything is created, and its layout kept."""

import pytest

from builders import gpu_profile_spec, run_spec
from pretrain_api.problems import parse
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.plan.run_admission import admit_run

TWO = ComputeProfileSpec.model_validate({"accelerator": {"name": "cpu", "perNode": 2}})


def _spec(**layout: int) -> PretrainJobSpec:
    return parse(PretrainJobSpec, run_spec(parallelism={"nodes": 2, **layout}))


def test_a_run_without_degrees_gets_those_of_its_plan() -> None:
    admission = admit_run(_spec(), TWO, 512, None)
    assert admission.problems == ()
    assert admission.plan is not None
    assert admission.spec.parallelism == admission.plan.parallelism
    assert not admission.spec.parallelism.is_left_to_planner


def test_a_run_that_has_started_keeps_its_layout() -> None:
    first = admit_run(_spec(), TWO, 512, None)
    other = ComputeProfileSpec.model_validate({"accelerator": {"name": "cpu", "perNode": 4}})
    later = admit_run(_spec(), other, 512, first.plan)
    assert later.spec == first.spec
    assert later.plan == first.plan


def test_a_run_that_gets_more_tokens_is_told_how_long_it_takes_now() -> None:
    gpus = ComputeProfileSpec.model_validate(gpu_profile_spec())
    training = {"sequenceLength": 128, "globalBatchSize": 16, "precision": "bf16"}

    def spec(tokens: str) -> PretrainJobSpec:
        return parse(PretrainJobSpec, run_spec(training={**training, "tokens": tokens}))

    first = admit_run(spec("100G"), gpus, 512, None).plan
    assert first is not None
    assert first.days
    later = admit_run(spec("200G"), None, None, first).plan
    assert later is not None
    assert later.steps == spec("200G").training.train_iters > first.steps
    assert later.days == pytest.approx(2 * first.days, rel=0.01)
    assert later.parallelism == first.parallelism


def test_degrees_of_the_manifest_are_left_alone() -> None:
    spec = _spec(tensor=2)
    assert admit_run(spec, TWO, 512, None).spec == spec


def test_more_devices_than_the_profile_has_are_refused() -> None:
    admission = admit_run(_spec(gpusPerNode=4), TWO, 512, None)
    assert "more than spec.accelerator.perNode = 2" in admission.problems[0]


def test_without_a_profile_the_rules_still_hold() -> None:
    assert admit_run(_spec(), None, 512, None).problems == ()
    assert admit_run(_spec(gpusPerNode=4, tensor=3), None, None, None).problems
