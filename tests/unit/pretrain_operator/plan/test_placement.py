import pytest

from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_operator.plan.placement import Role, plan_placement


def profile(**pods: object) -> ComputeProfileSpec:
    images = {"data": "pretrain-data:latest", "trainer": "pretrain-trainer:latest"}
    spec = {"accelerator": {"name": "h200"}, "images": images, "pods": pods}
    return ComputeProfileSpec.model_validate(spec)


@pytest.mark.parametrize(("role", "want"), [("data", "54d547fbb170"), ("trainer", "d29dfc1392e2")])
def test_an_upgrade_of_the_operator_does_not_change_the_digest_of_an_existing_placement(
    role: Role, want: str
) -> None:
    assert plan_placement(profile(), role).digest == want


def test_the_digest_of_a_placement_changes_with_its_scratch() -> None:
    some, more = (
        plan_placement(profile(data={"scratch": size}), "data").digest for size in ("1Gi", "2Gi")
    )
    assert len({some, more, plan_placement(profile(), "data").digest}) == 3
