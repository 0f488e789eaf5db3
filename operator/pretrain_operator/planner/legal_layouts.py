"""Every layout of a model over a number of devices that keeps the rules.

Uneven stages are enumerated only where embedding and loss count as layers, and tensor parallelism
only within a node.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pretrain_api.formulas.divisibility import (
    can_interleave,
    can_split_sequence,
    context_multiple,
    divisors,
    expert_parallel_size,
    has_fp8_tokens,
    has_fp8_weights,
    is_tensor_size,
    micro_step_size,
)
from pretrain_api.formulas.model_shapes import ModelShape
from pretrain_api.formulas.stages import even_stages
from pretrain_operator.planner.device_budget import DeviceBudget
from pretrain_operator.planner.estimates.layout import Layout
from pretrain_operator.planner.estimates.step_shape import StepShape

_LARGEST_CONTEXT = 64
_LARGEST_TENSOR = 64


@dataclass(frozen=True)
class _Cut:
    """The layers cut into pipeline stages."""

    stages: tuple[int, ...]
    virtual: int
    counts_ends: bool


def legal_layouts(
    model: ModelShape, step: StepShape, budget: DeviceBudget, distributed_optimizer: bool = True
) -> Iterator[tuple[Layout, bool]]:
    """Yield the layouts that keep every rule, and whether embedding and loss count as layers."""
    for tensor in _tensor_sizes(model, step, budget):
        for context in _context_sizes(step, budget.world_size // tensor):
            splits_sequence = tensor > 1 and _can_split_sequences(step, tensor, context)
            if model.experts is not None and tensor > 1 and not splits_sequence:
                continue
            if not _has_legal_tokens(step, context, tensor if splits_sequence else 1):
                continue
            for cut in _cuts(model, budget.world_size // (tensor * context)):
                for expert in _expert_sizes(model, budget.world_size, len(cut.stages)):
                    layout = Layout(
                        budget.world_size,
                        cut.stages,
                        tensor,
                        cut.virtual,
                        context,
                        expert,
                        sequence_parallel=splits_sequence,
                        distributed_optimizer=distributed_optimizer,
                    )
                    if _divides_batch(layout, step):
                        yield layout, cut.counts_ends


def _tensor_sizes(model: ModelShape, step: StepShape, budget: DeviceBudget) -> list[int]:
    largest = min(budget.devices_per_node, _LARGEST_TENSOR)
    return [
        size
        for size in divisors(budget.world_size)
        if size <= largest
        and is_tensor_size(model, size)
        and (step.precision != "fp8" or has_fp8_weights(model, size))
    ]


def _context_sizes(step: StepShape, devices: int) -> list[int]:
    """Return the powers of two that divide the sequences and `devices`."""
    sizes = [1]
    while sizes[-1] < _LARGEST_CONTEXT:
        size = 2 * sizes[-1]
        if devices % size or any(n % context_multiple(size) for n in step.seq_lengths):
            break
        sizes.append(size)
    return sizes


def _can_split_sequences(step: StepShape, tensor: int, context: int) -> bool:
    return all(can_split_sequence(length, tensor, context) for length in step.seq_lengths)


def _has_legal_tokens(step: StepShape, context: int, sequence_split: int) -> bool:
    tokens = step.seq_length * step.micro_batch_size
    return step.precision != "fp8" or has_fp8_tokens(tokens, context, sequence_split)


def _cuts(model: ModelShape, devices: int) -> Iterator[_Cut]:
    """Yield the cuts for each pipeline size that divides `devices`.

    The ends count as layers only where the layers alone do not divide.
    """
    for counts_ends in (False, True):
        units = model.layers + 2 * counts_ends
        for pipeline in divisors(units):
            is_even = model.layers % pipeline == 0
            if devices % pipeline or (counts_ends and (pipeline == 1 or is_even)):
                continue
            stages = even_stages(model.layers, pipeline, counts_ends, counts_ends)
            for virtual in divisors(units // pipeline) if pipeline > 1 else [1]:
                yield _Cut(stages, virtual, counts_ends)


def _expert_sizes(model: ModelShape, world_size: int, pipeline: int) -> list[int]:
    if model.experts is None:
        return [1]
    sizes = divisors(model.experts.count)
    return [size for size in sizes if world_size % expert_parallel_size(1, size, pipeline) == 0]


def _divides_batch(layout: Layout, step: StepShape) -> bool:
    sequences = micro_step_size(step.micro_batch_size, layout.data_parallel)
    return all(
        size % sequences == 0 and can_interleave(size // sequences, layout.pipeline, layout.virtual)
        for size in step.batch_sizes
    )
