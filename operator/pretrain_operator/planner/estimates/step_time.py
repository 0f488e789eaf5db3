"""Time of an optimizer step: kernels, pipeline, gradients, optimizer.

Source: the pipeline arithmetic of Narayanan et al. (arXiv 2104.04473) and Korthikanti et al.
(arXiv 2205.05198), over a roofline of each kernel.
"""

from dataclasses import dataclass

from pretrain_operator.planner.estimates.constants import COMMON
from pretrain_operator.planner.estimates.device_parameters import device_parameters
from pretrain_operator.planner.estimates.kernels import LayerTime, layer_time, logits_seconds
from pretrain_operator.planner.estimates.layout import Layout
from pretrain_operator.planner.estimates.planned_run import PlannedRun
from pretrain_operator.planner.estimates.speeds import Speeds

_FORGOTTEN = 0.5
"""Of a layer's memory-bound work, what selective recomputation does once more."""


@dataclass(frozen=True)
class StepTime:
    """Seconds of an optimizer step, by cause."""

    compute: float
    """Forward and backward passes of the slowest pipeline rank."""
    bubble: float
    """Idle time while the pipeline fills and drains."""
    exchange: float
    """Sending activations between pipeline ranks, or all-gathers of sharded weights."""
    gradients: float
    """Gradient and weight collectives that nothing overlaps."""
    optimizer: float

    @property
    def total(self) -> float:
        """Return the seconds of the step."""
        return self.compute + self.bubble + self.exchange + self.gradients + self.optimizer


def step_time(run: PlannedRun, speeds: Speeds) -> StepTime:
    """Return the predicted time of an optimizer step."""
    layout = run.layout
    dense = layer_time(run, speeds, has_experts=False)
    expert = layer_time(run, speeds, has_experts=True) if run.model.experts else dense
    seconds = max(
        _micro_batch_seconds(run, speeds, rank, (dense, expert)) for rank in layout.candidate_ranks
    )
    parameters = device_parameters(run, 0).total
    return StepTime(
        compute=run.micro_batches * seconds,
        bubble=(layout.pipeline - 1) / layout.virtual * seconds,
        exchange=_exchange_seconds(run, speeds, seconds),
        gradients=0.0 if layout.is_fully_sharded else _gradient_seconds(layout, speeds, parameters),
        optimizer=_optimizer_seconds(layout, speeds, parameters),
    )


def _micro_batch_seconds(
    run: PlannedRun, speeds: Speeds, rank: int, times: tuple[LayerTime, LayerTime]
) -> float:
    """Return the time of one micro-batch on a pipeline rank, forward and backward.

    `times` are those of a layer without experts, and of one with experts.
    """
    seconds = 0.0
    for layers, time in zip(run.stage_layers(rank), times, strict=True):
        each = time.forward + time.backward(COMMON.overlapped)
        if run.step.recompute == "full":
            each += time.forward
        elif run.step.forgets_activations:
            each += _FORGOTTEN * time.elementwise
        elif run.step.recompute == "selective":
            each += time.attention
        seconds += layers * each
    if rank == run.layout.pipeline - 1:
        seconds += logits_seconds(run, speeds)
    return seconds


def _exchange_seconds(run: PlannedRun, speeds: Speeds, micro_batch_seconds: float) -> float:
    model, layout = run.model, run.layout
    if layout.is_fully_sharded:
        return run.micro_batches * _sharding_seconds(run, speeds, micro_batch_seconds)
    if layout.pipeline == 1:
        return 0.0
    ranks = layout.world_size // layout.pipeline
    rate = speeds.domain if ranks < speeds.domain_size else speeds.network
    moved = 2 * run.micro_batch_tokens * model.hidden_size / layout.sequence_split
    one = moved / rate + speeds.collective_seconds
    return COMMON.exposed_exchange * 2 * run.micro_batches * layout.virtual * one


def _sharding_seconds(run: PlannedRun, speeds: Speeds, micro_batch_seconds: float) -> float:
    """Return the time of two weight all-gathers and a gradient reduce-scatter a micro-batch."""
    world_size = run.layout.world_size
    parameters = device_parameters(run, 0).total
    moved = 6 * parameters * (world_size - 1) / world_size
    seconds = moved / _group_rate(speeds, world_size, 1)
    hidden = min(seconds, micro_batch_seconds) * COMMON.overlapped
    return seconds - hidden + 3 * run.model.layers * speeds.collective_seconds


def _gradient_seconds(layout: Layout, speeds: Speeds, parameters: int) -> float:
    """Return the time of collectives of fp32 gradients and bf16 weights, less what is overlapped.

    The last backward pass overlaps a part of it.
    """
    size = layout.data_parallel * layout.context
    if size == 1:
        return 0.0
    moved = (6 if layout.distributed_optimizer else 8) * parameters * (size - 1) / size
    return (1 - COMMON.overlapped) * moved / _group_rate(speeds, size, layout.tensor)


def _group_rate(speeds: Speeds, size: int, stride: int) -> float:
    """Return the rate of a collective over `size` devices that are `stride` devices apart.

    Members in one domain share its network cards.
    """
    near = max(1, speeds.domain_size // stride)
    if size <= near:
        return speeds.domain
    return min(speeds.domain, near * speeds.network)


def _optimizer_seconds(layout: Layout, speeds: Speeds, parameters: int) -> float:
    """Return the time of the update: AdamW reads and writes 30 bytes a parameter."""
    parts = 1
    if layout.is_fully_sharded:
        parts = layout.world_size
    elif layout.distributed_optimizer:
        parts = layout.data_parallel * layout.context
    return 30 * parameters / parts / speeds.memory + speeds.step_seconds
