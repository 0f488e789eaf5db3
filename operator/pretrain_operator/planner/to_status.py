"""Estimates as the API types of `status.plan`."""

from collections.abc import Iterator
from dataclasses import replace

from pretrain_api.formulas.flops import flops_per_token
from pretrain_api.formulas.parameters import active_parameters, total_parameters
from pretrain_api.formulas.steps import Steps, steps_of
from pretrain_api.v1alpha1.parallelism import ParallelismSpec
from pretrain_api.v1alpha1.plan import LayoutPlan, MemoryPlan, PlanStatus, StagePlan
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.planner.device_budget import DeviceBudget
from pretrain_operator.planner.estimates.constants import COMMON
from pretrain_operator.planner.estimates.device_parameters import device_parameters
from pretrain_operator.planner.estimates.memory import Memory, peak_memory, peak_rank
from pretrain_operator.planner.estimates.planned_run import PlannedRun
from pretrain_operator.planner.estimates.speeds import Speeds
from pretrain_operator.planner.estimates.step_time import step_time
from pretrain_operator.planner.search import Candidate

_SHOWN_STAGES = 64
_BYTES_OF_STATE = {"bf16": 14, "fp8": 14, "fp32": 16}
"""Of a parameter in a checkpoint: weights, and Adam's master copy and moments, 4 bytes each."""


def plan_status(
    spec: PretrainJobSpec, vocabulary_size: int, run: PlannedRun, budget: DeviceBudget
) -> PlanStatus:
    """Return all estimates of `run`, which is `spec` in the planner's types.

    `vocabulary_size` are the ids before padding.
    """
    training, layout, steps = spec.training, run.layout, steps_of(spec.training)
    _, peak = peak_rank(run)
    parameters = total_parameters(run.model, vocabulary_size)
    plan = PlanStatus(
        world_size=layout.world_size,
        data_parallel=layout.data_parallel,
        expert_data_parallel=layout.expert_data_parallel if run.model.experts else None,
        micro_batches=run.micro_batches,
        steps=steps.count,
        tokens_per_step=steps.tokens(1),
        parameters=parameters,
        active_parameters=active_parameters(run.model, vocabulary_size),
        padded_vocabulary_size=run.model.padded_vocabulary_size,
        parallelism=spec.parallelism,
        micro_batch_size=training.micro_batch_size,
        memory_per_gpu=_memory_plan(peak, budget.memory_bytes),
        stages=_stage_plans(run, budget.memory_bytes),
        checkpoint_bytes=_BYTES_OF_STATE[run.step.precision] * parameters,
    )
    return plan if budget.speeds is None else _with_times(plan, run, budget.speeds, steps)


def _with_times(plan: PlanStatus, run: PlannedRun, speeds: Speeds, steps: Steps) -> PlanStatus:
    seconds = step_time(run, speeds).total
    tokens_per_second = plan.tokens_per_step / seconds
    flops = flops_per_token(run.model, run.step.seq_length)
    flops_per_device = flops * tokens_per_second / run.layout.world_size
    return plan.model_copy(
        update={
            "predicted_step_seconds": round(seconds, 4),
            "predicted_step_seconds_low": round(seconds * (1 - COMMON.spread), 4),
            "predicted_step_seconds_high": round(seconds * (1 + COMMON.spread), 4),
            "predicted_tokens_per_second": round(tokens_per_second, 1),
            "predicted_mfu": round(flops_per_device / speeds.peak, 4),
            "days": _days(sum(_phase_seconds(run, speeds, steps))),
        }
    )


def _phase_seconds(run: PlannedRun, speeds: Speeds, steps: Steps) -> Iterator[float]:
    """Yield the time that the steps of each batch size take."""
    ends = [phase.first_step for phase in steps.phases[1:]] + [steps.count]
    for phase, end in zip(steps.phases, ends, strict=True):
        shape = replace(run.step, global_batch_size=phase.batch_size)
        yield (end - phase.first_step) * step_time(replace(run, step=shape), speeds).total


def with_steps(plan: PlanStatus, steps: int) -> PlanStatus:
    """Return `plan` for a run of another length: a step takes as long as before, on average."""
    if steps == plan.steps:
        return plan
    days = None if plan.days is None else round(plan.days * steps / max(1, plan.steps), 4)
    return plan.model_copy(update={"steps": steps, "days": days})


def _days(seconds: float) -> float:
    return round(seconds / 86_400, 4)


def layout_plan(candidate: Candidate, nodes: int, devices_per_node: int) -> LayoutPlan:
    """Return a candidate in the fields of the API."""
    return LayoutPlan(
        parallelism=parallelism_spec(candidate, nodes, devices_per_node),
        micro_batch_size=candidate.step.micro_batch_size,
        recompute=candidate.step.recompute,
        memory_per_gpu=round(candidate.memory_bytes),
        step_seconds=round(candidate.seconds, 4),
    )


def parallelism_spec(candidate: Candidate, nodes: int, devices_per_node: int) -> ParallelismSpec:
    """Return the degrees of a candidate in the fields of a manifest."""
    layout = candidate.layout
    return ParallelismSpec(
        nodes=nodes,
        gpus_per_node=devices_per_node,
        tensor=layout.tensor,
        pipeline=layout.pipeline,
        virtual_pipeline=layout.virtual if layout.virtual > 1 else None,
        context=layout.context,
        expert=layout.expert,
        sequence=layout.sequence_parallel,
        distributed_optimizer=layout.distributed_optimizer,
        **({"count_embedding": True, "count_loss": True} if candidate.counts_ends else {}),
    )


def _stage_plans(run: PlannedRun, limit: float | None) -> list[StagePlan]:
    return [
        StagePlan(
            rank=rank,
            layers=run.layout.stages[rank],
            parameters=device_parameters(run, rank).total,
            memory=_memory_plan(peak_memory(run, rank), limit),
        )
        for rank in range(min(run.layout.pipeline, _SHOWN_STAGES))
    ]


def _memory_plan(memory: Memory, limit: float | None) -> MemoryPlan:
    return MemoryPlan(
        weights=round(memory.weights),
        gradients=round(memory.gradients),
        optimizer=round(memory.optimizer),
        activations=round(memory.activations),
        logits=round(memory.logits),
        buffers=round(memory.buffers),
        total=round(memory.total),
        limit=None if limit is None else round(limit),
    )
