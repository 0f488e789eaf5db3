"""Whether a plan fits the memory of its devices, and which layouts would."""

from collections.abc import Sequence
from dataclasses import replace

from pretrain_api.formulas.model_shapes import ModelShape
from pretrain_api.rules import Problem
from pretrain_api.v1alpha1.plan import MemoryPlan
from pretrain_api.v1alpha1.training import Recompute
from pretrain_operator.planner.descriptions import degrees, gib
from pretrain_operator.planner.device_budget import DeviceBudget
from pretrain_operator.planner.estimates.planned_run import PlannedRun
from pretrain_operator.planner.estimates.step_shape import StepShape
from pretrain_operator.planner.search import Candidate, search

_RECOMPUTE: tuple[Recompute, ...] = ("none", "selective", "full")
"""From fastest to leanest."""


def memory_problems(memory: MemoryPlan, run: PlannedRun, budget: DeviceBudget) -> list[Problem]:
    """Return that `run` needs more memory than is admitted, with layouts that fit."""
    if memory.limit is None or memory.total <= memory.limit:
        return []
    message = (
        f"{gib(memory.total)} predicted on the device that needs most, more than the"
        f" {gib(memory.limit)} that its memory allows"
    )
    shares_optimizer = run.layout.distributed_optimizer
    fitting = _fitting(run.model, run.step, budget, shares_optimizer)
    if fitting:
        message += f"; these fit: {_alternatives(fitting, run.step, shares_optimizer)}"
    else:
        message += "; no layout fits on these nodes: use more of them, or a smaller model"
    return [Problem("memory", "spec.parallelism", message)]


def nothing_fits(
    model: ModelShape, step: StepShape, budget: DeviceBudget, distributed_optimizer: bool = True
) -> Problem:
    """Return that the search found no layout, and what would have one."""
    message = f"no layout of {budget.world_size} devices keeps every rule and fits into their"
    message += " memory"
    fitting = _fitting(model, step, budget, distributed_optimizer)
    if fitting:
        message += f"; these would: {_alternatives(fitting, step, distributed_optimizer)}"
    else:
        message += "; use more nodes, a smaller model, or another globalBatchSize"
    return Problem("memory", "spec.parallelism", message)


def _fitting(
    model: ModelShape, step: StepShape, budget: DeviceBudget, distributed_optimizer: bool
) -> Sequence[Candidate]:
    """Return the layouts that fit.

    If need be, the optimizer is distributed, more is recomputed, or micro-batches are smaller.
    """
    modes = _RECOMPUTE[_RECOMPUTE.index(step.recompute) :]
    for micro_batch_size in sorted({step.micro_batch_size, 1}, reverse=True):
        for recompute in modes:
            leaner = replace(step, recompute=recompute, micro_batch_size=micro_batch_size)
            for shares_optimizer in sorted({distributed_optimizer, True}):
                if candidates := search(model, leaner, budget, shares_optimizer):
                    return candidates
    return ()


def _alternatives(
    candidates: Sequence[Candidate], step: StepShape, distributed_optimizer: bool
) -> str:
    described = (_describe(candidate, step, distributed_optimizer) for candidate in candidates[:2])
    return " or ".join(described)


def _describe(candidate: Candidate, step: StepShape, distributed_optimizer: bool) -> str:
    """Return the fields of a manifest that make a candidate, where they differ from the run's."""
    words = degrees(candidate.layout) or ["tensor 1"]
    if candidate.layout.sequence_parallel:
        words.append("sequence true")
    if candidate.counts_ends:
        words.append("countEmbedding and countLoss true")
    if candidate.layout.distributed_optimizer != distributed_optimizer:
        words.append("distributedOptimizer true")
    if candidate.step.recompute != step.recompute:
        words.append(f"recompute {candidate.step.recompute}")
    if candidate.step.micro_batch_size != step.micro_batch_size:
        words.append(f"microBatchSize {candidate.step.micro_batch_size}")
    return f"{', '.join(words)} ({gib(candidate.memory_bytes)})"
