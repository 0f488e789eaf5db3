from builders import parsed_run, profile_spec, run_spec
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.tokendataset import DatasetSummary
from pretrain_operator.plan.admission import dataset_problems, name_problems, run_problems

PROFILE = ComputeProfileSpec.model_validate(profile_spec())


def test_a_good_run_has_no_problems() -> None:
    assert run_problems(parsed_run(), PROFILE) == []


def test_a_layout_is_held_against_the_nodes_of_its_profile() -> None:
    spec = parsed_run(parallelism={"nodes": 1, "tensor": 2, "pipeline": 2})
    assert run_problems(spec, None) == []
    (problem,) = run_problems(spec, PROFILE)
    assert problem.startswith("spec.parallelism")


def test_more_devices_than_a_node_has_are_refused_with_the_number() -> None:
    spec = parsed_run(parallelism={"nodes": 1, "gpusPerNode": 4, "tensor": 2, "pipeline": 2})
    assert (
        "spec.parallelism.gpusPerNode: 4 is more than spec.accelerator.perNode = 2"
        in (run_problems(spec, PROFILE)[0])
    )


def test_a_run_that_does_not_fit_its_dataset_is_told_what_would() -> None:
    spec = parsed_run(model={**run_spec()["model"], "vocabularySize": 500})
    problems = dataset_problems(spec, DatasetSummary(sequence_length=256, vocabulary_size=512))
    assert [problem.partition(":")[0] for problem in problems] == [
        "spec.training.sequenceLength",
        "spec.model.vocabularySize",
    ]
    assert dataset_problems(spec, None) == []


def test_a_name_that_is_no_label_is_refused() -> None:
    assert name_problems("a" * 63) == []
    assert "has 64 characters; use at most 63" in name_problems("a" * 64)[0]
