"""What does not fit is refused with layouts that fit: whoever follows the message gets a plan."""

import re
from dataclasses import dataclass, replace
from typing import Any

import pytest

from preset_runs import H100, preset_run
from pretrain_api.profiles import DEVICES
from pretrain_api.rules import Problem
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_operator.planner.resource_plan import ResourcePlan, plan_resources

PROPOSAL = re.compile(r"these (?:fit|would): (.*)")
SWITCHES = ("sequence", "distributedOptimizer", "countEmbedding", "countLoss")


@dataclass(frozen=True)
class Case:
    """A run that does not fit."""

    preset: str
    parallelism: dict[str, Any]
    training: dict[str, Any]
    device: str = "h100"
    memory: str | None = None


CASES = {
    "a layout of one device": Case("llama3-70b", {"nodes": 4, "tensor": 1}, {}),
    "without a distributed optimizer": Case(
        "llama3-70b", {"nodes": 8, "tensor": 8, "distributedOptimizer": False}, {}
    ),
    "a small model without a distributed optimizer": Case(
        "llama2-13b", {"nodes": 1, "tensor": 1, "distributedOptimizer": False}, {}
    ),
    "only with a distributed optimizer": Case(
        "llama3-8b",
        {"nodes": 3, "distributedOptimizer": False},
        {"sequenceLength": 2048, "globalBatchSize": 480},
        "rtx4090",
        "16Gi",
    ),
    "only with recomputation": Case("llama3-405b", {"nodes": 16}, {}),
    "only with smaller micro-batches": Case(
        "llama3-8b", {"nodes": 1, "tensor": 8}, {"microBatchSize": 64, "recompute": "full"}
    ),
    "on small devices": Case("llama3-8b", {"nodes": 4, "tensor": 2}, {}, "rtx4090"),
}


def plan_of(case: Case) -> ResourcePlan:
    per_node = DEVICES[case.device].per_node
    profile = ComputeProfileSpec.model_validate(
        {"accelerator": {"name": case.device, "perNode": per_node, "memory": case.memory}}
    )
    return plan_resources(preset_run(case.parallelism, case.preset, **case.training), profile)


def follow(case: Case, proposal: str) -> Case:
    """Return the case after a user changed the fields that a message names."""
    words, _, _ = proposal.rpartition(" (")
    own = case.parallelism
    kept: dict[str, Any] = {
        name: own[name] for name in own if name in ("nodes", "distributedOptimizer")
    }
    training = dict(case.training)
    for word in words.replace("countEmbedding and", "countEmbedding true,").split(", "):
        name, value = word.split(" ")
        if name in ("recompute", "microBatchSize"):
            training[name] = int(value) if value.isdigit() else value
        else:
            kept[name] = value == "true" if name in SWITCHES else int(value)
    return replace(case, parallelism=kept, training=training)


def errors_of(plan: ResourcePlan) -> list[Problem]:
    """Return what keeps a run from starting."""
    return [problem for problem in plan.problems if problem.is_refusal]


@pytest.mark.parametrize("name", CASES)
def test_every_proposed_layout_fits_once_the_user_follows_it(name: str) -> None:
    case = CASES[name]
    [error] = [error for error in errors_of(plan_of(case)) if error.rule == "memory"]
    match = PROPOSAL.search(error.message)
    assert match is not None, error.message
    proposals = match[1].split(" or ")
    assert len(set(proposals)) == len(proposals) <= 2
    for proposal in proposals:
        followed = plan_of(follow(case, proposal))
        assert "memory" not in {error.rule for error in errors_of(followed)}, proposal
        assert followed.status is not None
        promised = float(proposal.rpartition("(")[2].removesuffix(" GiB)"))
        assert followed.status.memory_per_gpu.total / 2**30 == pytest.approx(promised, abs=0.06)


def test_sharing_the_optimizer_is_proposed_where_nothing_else_helps() -> None:
    [error] = errors_of(plan_of(CASES["only with a distributed optimizer"]))
    assert "distributedOptimizer true" in error.message
    assert "recompute" not in error.message


def test_a_message_names_only_the_fields_that_are_to_change() -> None:
    lean = Case("llama3-405b", {"nodes": 16, "tensor": 8}, {"recompute": "full"})
    [error] = [error for error in errors_of(plan_of(lean)) if error.rule == "memory"]
    assert "recompute" not in error.message
    assert "distributedOptimizer" not in error.message
    assert "microBatchSize" not in error.message


def test_what_no_layout_fits_gets_no_proposal() -> None:
    case = Case("llama3-405b", {"nodes": 1, "tensor": 8}, {})
    [error] = [error for error in errors_of(plan_of(case)) if error.rule == "memory"]
    assert error.message.endswith("use more of them, or a smaller model")
    assert "these fit" not in error.message


def test_a_plan_that_fits_exactly_is_accepted() -> None:
    """The limit itself is admitted: one byte of the device less, and it is refused."""
    run = preset_run({"nodes": 1, "tensor": 8, "sequence": True})
    status = plan_resources(run, H100).status
    assert status is not None
    low, high = 1, 80 * 2**30
    while low < high:
        middle = (low + high) // 2
        profile = {"accelerator": {"name": "h100", "perNode": 8, "memory": middle}}
        plan = plan_resources(run, ComputeProfileSpec.model_validate(profile))
        if errors_of(plan):
            low = middle + 1
        else:
            high = middle
    assert plan.status is not None
    profile = {"accelerator": {"name": "h100", "perNode": 8, "memory": low}}
    least = plan_resources(run, ComputeProfileSpec.model_validate(profile)).status
    assert least is not None
    assert least.memory_per_gpu.total == status.memory_per_gpu.total == least.memory_per_gpu.limit
