"""What a PretrainJob needs before anything is created: a layout that fits, memory and time."""

from collections.abc import Sequence
from dataclasses import dataclass

from pretrain_api.formulas.model_shapes import model_shape_of
from pretrain_api.profiles import device_of, memory_of
from pretrain_api.rules import Problem, Severity, check
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.plan import LayoutPlan, PlanStatus
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.planner.advice import plan_notes, plan_warnings
from pretrain_operator.planner.device_budget import DeviceBudget
from pretrain_operator.planner.estimates.memory import admitted_bytes
from pretrain_operator.planner.estimates.planned_run import PlannedRun
from pretrain_operator.planner.estimates.speeds import speeds_of
from pretrain_operator.planner.fit import memory_problems, nothing_fits
from pretrain_operator.planner.from_spec import layout_of, step_shape_of
from pretrain_operator.planner.planned_vocabulary import (
    UNEVEN_ROWS,
    planned_vocabulary_size,
    vocabulary_problems,
)
from pretrain_operator.planner.search import Candidate, search
from pretrain_operator.planner.to_status import layout_plan, parallelism_spec, plan_status

_SHOWN = 5
"""Candidates in `status.plan`."""


@dataclass(frozen=True, kw_only=True)
class ResourcePlan:
    """What is known of a run before it starts."""

    spec: PretrainJobSpec
    """The manifest's spec, with the degrees that the planner chose and the devices of a node."""
    status: PlanStatus | None
    """For `status.plan`. `None` where errors keep the layout from being computed."""
    problems: tuple[Problem, ...] = ()
    """Errors, what the trainer cannot do yet, and warnings."""
    notes: tuple[str, ...] = ()
    """Hints for people."""


def plan_resources(
    spec: PretrainJobSpec,
    profile: ComputeProfileSpec,
    tokenizer_size: int | None = None,
    unique_tokens: int | None = None,
) -> ResourcePlan:
    """Return the plan of a run on the nodes of a profile.

    `tokenizer_size` are the ids of its tokenizer, `unique_tokens` the different tokens of its
    dataset; `None` while they are not known.
    """
    spec = _with_devices(spec, profile)
    problems = check("PretrainJob", spec)
    embedding = vocabulary_problems(spec, tokenizer_size)
    if _has_errors(problems) or any(problem.rule == UNEVEN_ROWS for problem in embedding):
        return ResourcePlan(spec=spec, status=None, problems=(*problems, *embedding))
    vocabulary_size = planned_vocabulary_size(spec.model, tokenizer_size)
    model, step = model_shape_of(spec.model, vocabulary_size), step_shape_of(spec.training)
    budget = device_budget_of(spec, profile)
    candidates: list[LayoutPlan] = []
    if spec.parallelism.is_left_to_planner:
        shares_optimizer = spec.parallelism.distributed_optimizer
        fitting = search(model, step, budget, shares_optimizer)
        if not fitting:
            problems += [*embedding, nothing_fits(model, step, budget, shares_optimizer)]
            return ResourcePlan(spec=spec, status=None, problems=tuple(problems))
        best = _runnable_first(spec, fitting)
        candidates = [layout_plan(candidate, *_nodes(spec)) for candidate in best]
        spec = _with_layout(spec, best[0])
        problems = check("PretrainJob", spec)
    layout = layout_of(spec.parallelism, spec.model.layers, budget.devices_per_node)
    run = PlannedRun(model, layout, step)
    status = plan_status(spec, vocabulary_size, run, budget)
    problems += embedding
    problems += memory_problems(status.memory_per_gpu, run, budget)
    problems += plan_warnings(spec, status, unique_tokens)
    warnings = [str(p) for p in problems if p.severity is Severity.WARNING]
    status = status.model_copy(update={"candidates": candidates, "warnings": warnings})
    is_assumed = not (spec.model.vocabulary_size or tokenizer_size)
    notes = plan_notes(model, vocabulary_size, is_assumed, status)
    return ResourcePlan(spec=spec, status=status, problems=tuple(problems), notes=notes)


def device_budget_of(spec: PretrainJobSpec, profile: ComputeProfileSpec) -> DeviceBudget:
    """Return the devices that a run has on the nodes of a profile."""
    nodes, devices_per_node = _nodes(_with_devices(spec, profile))
    memory, device = memory_of(profile), device_of(profile)
    return DeviceBudget(
        world_size=nodes * devices_per_node,
        devices_per_node=devices_per_node,
        memory_bytes=None if memory is None else admitted_bytes(memory),
        speeds=None if device is None else speeds_of(device),
    )


def _with_devices(spec: PretrainJobSpec, profile: ComputeProfileSpec) -> PretrainJobSpec:
    """Return `spec` with the devices of a node, by default those of the profile."""
    parallelism = spec.parallelism
    if parallelism.gpus_per_node is not None:
        return spec
    devices = {"gpus_per_node": profile.accelerator.per_node}
    return spec.model_copy(update={"parallelism": parallelism.model_copy(update=devices)})


def _nodes(spec: PretrainJobSpec) -> tuple[int, int]:
    """Return the nodes, and the devices of each."""
    return spec.parallelism.nodes, spec.parallelism.gpus_per_node or 1


def _with_layout(spec: PretrainJobSpec, candidate: Candidate) -> PretrainJobSpec:
    parallelism = parallelism_spec(candidate, *_nodes(spec))
    return spec.model_copy(update={"parallelism": parallelism})


def _runnable_first(spec: PretrainJobSpec, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the best candidates, first those that our trainer can run already."""
    runnable: list[Candidate] = []
    others: list[Candidate] = []
    for candidate in candidates[: 20 * _SHOWN]:
        problems = check("PretrainJob", _with_layout(spec, candidate))
        (others if any(p.is_refusal for p in problems) else runnable).append(candidate)
        if len(runnable) == _SHOWN:
            break
    return [*runnable, *others][:_SHOWN]


def _has_errors(problems: Sequence[Problem]) -> bool:
    return any(problem.severity is Severity.ERROR for problem in problems)
