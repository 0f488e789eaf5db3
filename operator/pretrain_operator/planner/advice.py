"""Warnings and hints about a plan that is allowed."""

import math

from pretrain_api.formulas.model_shapes import ModelShape
from pretrain_api.formulas.parameters import total_parameters
from pretrain_api.rules import Problem, Severity
from pretrain_api.v1alpha1.plan import PlanStatus
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.planner.descriptions import gib
from pretrain_operator.planner.serving import serving_hint

_SPARE_FRACTION = 0.4
"""Of the admitted memory: a plan that uses less could be faster."""
_LARGEST_BUBBLE = 0.25
"""Idle time of the pipeline over its computing time."""
_MANY_EPOCHS = 4.0
"""Beyond these, repeated tokens are worth little. Source: Muennighoff et al. (arXiv 2305.16264)."""
_OPTIMIZER_BYTES = 12
"""Bytes of a parameter's states in a checkpoint: fp32 weight and two moments."""
_SAVED_PER_SECOND = 1e9
"""Bytes that a node writes: a usual rate of shared file systems and object stores."""
_STEP_AND_END_SECONDS = 30.0
"""Of a grace period: the running step before the save, and the report after it."""


def plan_warnings(
    spec: PretrainJobSpec, plan: PlanStatus, unique_tokens: int | None
) -> list[Problem]:
    """Return what is allowed but wastes memory, devices or data.

    `unique_tokens` are the different tokens of the dataset, `None` while they are not known.
    """
    problems = [
        _spare_memory(plan),
        _pipeline_bubble(spec, plan),
        _grace_period(spec, plan),
        _sudden_start(spec),
    ]
    if unique_tokens:
        problems.append(_many_epochs(spec.training.tokens, unique_tokens))
    return [problem for problem in problems if problem is not None]


def plan_notes(
    model: ModelShape, vocabulary_size: int, is_assumed: bool, plan: PlanStatus
) -> tuple[str, ...]:
    """Return hints for people: who can serve the model, and what the plan had to assume.

    `is_assumed` says whether neither the model nor a tokenizer gives the vocabulary's size.
    """
    notes = [serving_hint(total_parameters(model, vocabulary_size))]
    if is_assumed:
        notes.append(
            f"a vocabulary of {vocabulary_size} ids was assumed: the tokenizer is not known"
        )
    if plan.predicted_step_seconds is None:
        notes.append("no time is predicted: the profile's accelerator is unknown")
    return tuple(notes)


def _spare_memory(plan: PlanStatus) -> Problem | None:
    memory = plan.memory_per_gpu
    if not memory.limit or memory.total >= _SPARE_FRACTION * memory.limit:
        return None
    message = (
        f"{gib(memory.total)} of {gib(memory.limit)} would be used; a larger micro-batch"
        " or smaller degrees are usually faster"
    )
    return _warning("spare-memory", "spec.training.microBatchSize", message)


def _pipeline_bubble(spec: PretrainJobSpec, plan: PlanStatus) -> Problem | None:
    stages = spec.parallelism.pipeline
    bubble = (stages - 1) / spec.parallelism.virtual_stages
    if bubble <= _LARGEST_BUBBLE * plan.micro_batches:
        return None
    share = bubble / (bubble + plan.micro_batches)
    message = (
        f"{plan.micro_batches} micro-batches for {stages} stages leave"
        f" the devices idle {100 * share:.0f} % of the time; use a larger batch, a smaller"
        " pipeline or virtualPipeline"
    )
    return _warning("pipeline-bubble", "spec.training.globalBatchSize", message)


def _grace_period(spec: PretrainJobSpec, plan: PlanStatus) -> Problem | None:
    grace = spec.checkpoint.grace_period
    weights = 4 if spec.training.precision == "fp32" else 2
    share = plan.parameters * (weights + _OPTIMIZER_BYTES) // spec.parallelism.nodes
    seconds = share / _SAVED_PER_SECOND
    if seconds + _STEP_AND_END_SECONDS <= grace:
        return None
    message = (
        f"{grace} s are too short to save {gib(share)} from each node, which takes about"
        f" {seconds:.0f} s at 1 GB/s: a preemption would lose the steps since the last"
        f" checkpoint; use {math.ceil((seconds + _STEP_AND_END_SECONDS) / 60)}m"
    )
    return _warning("grace-period", "spec.checkpoint.gracePeriod", message)


def _sudden_start(spec: PretrainJobSpec) -> Problem | None:
    """Return a warning that a trained model starts at its full learning rate.

    Source: Ibrahim et al. (arXiv 2403.08763), re-warming.
    """
    training = spec.training
    if spec.initialize.hugging_face is None or training.schedule.warmup.tokens:
        return None
    message = (
        f"0: a trained model whose optimizer starts fresh would take its first steps at the full"
        f" learning rate, {training.optimizer.learning_rate:g}, and lose some of what it knows;"
        f" use about 1 % of training.tokens, {max(1, training.tokens // 100)}"
    )
    return _warning("sudden-start", "spec.training.schedule.warmup.tokens", message)


def _many_epochs(tokens: int, unique_tokens: int) -> Problem | None:
    if tokens <= _MANY_EPOCHS * unique_tokens:
        return None
    message = (
        f"{tokens} tokens are {tokens / unique_tokens:.1f} epochs over {unique_tokens} different"
        " ones; beyond about 4 a model gains little from repeating"
    )
    return _warning("many-epochs", "spec.training.tokens", message)


def _warning(rule: str, path: str, message: str) -> Problem:
    return Problem(rule, path, message, Severity.WARNING)
