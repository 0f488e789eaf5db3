"""Write estimates down as `status.plan`."""

from pretrain_api.v1alpha1.parallelism import ParallelismSpec
from pretrain_api.v1alpha1.plan import LayoutPlan, MemoryPlan, PlanStatus, StagePlan
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.planner.estimates.constants import COMMON
from pretrain_operator.planner.estimates.flops import flops_per_token
from pretrain_operator.planner.estimates.memory import Memory, fullest_rank, peak_memory
from pretrain_operator.planner.estimates.setup import Layout, Model, Work
from pretrain_operator.planner.estimates.sizes import (
    active_parameters,
    share_of_stage,
    total_parameters,
)
from pretrain_operator.planner.estimates.step_time import step_time
from pretrain_operator.planner.layouts import Candidate, Room

_SHOWN_STAGES = 64
_BYTES_OF_STATE = {"bf16": 14, "fp8": 14, "fp32": 12}
"""Of a parameter in a checkpoint: weights, and Adam's master copy and moments."""


def plan_status(
    spec: PretrainJobSpec, vocabulary: int, model: Model, layout: Layout, work: Work, room: Room
) -> PlanStatus:
    """Return everything that is predicted of a layout that keeps the rules."""
    training = spec.training
    _, fullest = fullest_rank(model, layout, work)
    parameters = total_parameters(model, vocabulary)
    plan = PlanStatus(
        world_size=layout.world,
        data_parallel=layout.data,
        expert_data_parallel=layout.expert_data if model.experts else None,
        micro_batches=work.micro_batches(layout.data),
        steps=training.train_iters,
        tokens_per_step=training.global_batch_size * training.sequence_length,
        parameters=parameters,
        active_parameters=active_parameters(model, vocabulary),
        padded_vocabulary_size=model.vocabulary,
        parallelism=spec.parallelism,
        micro_batch_size=training.micro_batch_size,
        memory_per_gpu=_memory_plan(fullest, room.memory),
        stages=_stages(model, layout, work, room.memory),
        checkpoint_bytes=_BYTES_OF_STATE[work.precision] * parameters,
    )
    return plan if room.speeds is None else _with_times(plan, model, layout, work, room)


def _with_times(
    plan: PlanStatus, model: Model, layout: Layout, work: Work, room: Room
) -> PlanStatus:
    assert room.speeds is not None
    seconds = step_time(model, layout, work, room.speeds).total
    rate = plan.tokens_per_step / seconds
    useful = flops_per_token(model, work.sequence) * rate / layout.world
    return plan.model_copy(
        update={
            "predicted_step_seconds": round(seconds, 4),
            "predicted_step_seconds_low": round(seconds * (1 - COMMON.spread), 4),
            "predicted_step_seconds_high": round(seconds * (1 + COMMON.spread), 4),
            "predicted_tokens_per_second": round(rate, 1),
            "predicted_mfu": round(useful / room.speeds.peak, 4),
            "days": _days(plan.steps, seconds),
        }
    )


def with_steps(plan: PlanStatus, steps: int) -> PlanStatus:
    """Return `plan` for a run that got another length: a step takes as long as before."""
    if steps == plan.steps:
        return plan
    seconds = plan.predicted_step_seconds
    days = None if seconds is None else _days(steps, seconds)
    return plan.model_copy(update={"steps": steps, "days": days})


def _days(steps: int, step_seconds: float) -> float:
    return round(steps * step_seconds / 86_400, 4)


def layout_plan(candidate: Candidate, nodes: int, devices: int) -> LayoutPlan:
    """Return a candidate in the words of a manifest."""
    return LayoutPlan(
        parallelism=parallelism_of(candidate, nodes, devices),
        micro_batch_size=candidate.work.micro_batch,
        recompute=candidate.work.recompute,
        memory_per_gpu=round(candidate.memory),
        step_seconds=round(candidate.seconds, 4),
    )


def parallelism_of(candidate: Candidate, nodes: int, devices: int) -> ParallelismSpec:
    """Return the degrees of a candidate in the words of a manifest."""
    layout = candidate.layout
    return ParallelismSpec(
        nodes=nodes,
        gpus_per_node=devices,
        tensor=layout.tensor,
        pipeline=layout.pipeline,
        virtual_pipeline=layout.virtual if layout.virtual > 1 else None,
        context=layout.context,
        expert=layout.expert,
        sequence=layout.sequence,
        distributed_optimizer=layout.distributed_optimizer,
        **({"count_embedding": True, "count_loss": True} if candidate.counted else {}),
    )


def _stages(model: Model, layout: Layout, work: Work, limit: float | None) -> list[StagePlan]:
    return [
        StagePlan(
            rank=rank,
            layers=layout.stages[rank],
            parameters=share_of_stage(model, layout, rank).total,
            memory=_memory_plan(peak_memory(model, layout, work, rank), limit),
        )
        for rank in range(min(layout.pipeline, _SHOWN_STAGES))
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
