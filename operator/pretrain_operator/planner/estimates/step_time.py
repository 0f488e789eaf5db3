"""Time of an optimizer step: kernels, pipeline, gradients, optimizer.

Source: the pipeline arithmetic of Narayanan et al. (arXiv 2104.04473) and Korthikanti et al.
(arXiv 2205.05198), over a roofline of each kernel.
"""

from dataclasses import dataclass

from pretrain_operator.planner.estimates.constants import COMMON
from pretrain_operator.planner.estimates.devices import Speeds
from pretrain_operator.planner.estimates.kernels import LayerTime, layer_time, logits_seconds
from pretrain_operator.planner.estimates.setup import Layout, Model, Work
from pretrain_operator.planner.estimates.sizes import share_of_stage


@dataclass(frozen=True)
class StepTime:
    """Seconds of an optimizer step, by cause."""

    compute: float
    """Forward and backward passes of the slowest stage."""
    bubble: float
    """Waiting for the pipeline to fill and drain."""
    exchange: float
    """Passing activations between stages, and gathering sharded weights."""
    gradients: float
    """Gradient and weight collectives that nothing hides."""
    optimizer: float

    @property
    def total(self) -> float:
        """Return all of it."""
        return self.compute + self.bubble + self.exchange + self.gradients + self.optimizer


def step_time(model: Model, layout: Layout, work: Work, speeds: Speeds) -> StepTime:
    """Return the predicted time of an optimizer step."""
    plain = layer_time(model, layout, work, speeds, has_experts=False)
    routed = layer_time(model, layout, work, speeds, has_experts=True) if model.experts else plain
    batch = max(
        _stage_seconds(model, layout, work, speeds, rank, (plain, routed))
        for rank in layout.telling_ranks
    )
    batches = work.micro_batches(layout.data)
    share = share_of_stage(model, layout, 0).total
    return StepTime(
        compute=batches * batch,
        bubble=(layout.pipeline - 1) / layout.virtual * batch,
        exchange=_exchange_seconds(model, layout, work, speeds, batch),
        gradients=0.0 if layout.is_fully_sharded else _gradient_seconds(layout, speeds, share),
        optimizer=_optimizer_seconds(layout, speeds, share),
    )


def _stage_seconds(
    model: Model,
    layout: Layout,
    work: Work,
    speeds: Speeds,
    rank: int,
    times: tuple[LayerTime, LayerTime],
) -> float:
    first, layers = sum(layout.stages[:rank]), layout.stages[rank]
    routed = model.routed_layers(first, layers)
    seconds = 0.0
    for count, time in ((layers - routed, times[0]), (routed, times[1])):
        each = time.forward + time.backward(COMMON.overlapped)
        if work.recompute == "full":
            each += time.forward
        elif work.recompute == "selective":
            each += time.attention
        seconds += count * each
    if rank == layout.pipeline - 1:
        seconds += logits_seconds(model, layout, work, speeds)
    return seconds


def _exchange_seconds(
    model: Model, layout: Layout, work: Work, speeds: Speeds, batch: float
) -> float:
    batches = work.micro_batches(layout.data)
    if layout.is_fully_sharded:
        return batches * _sharding_seconds(model, layout, speeds, batch)
    if layout.pipeline == 1:
        return 0.0
    tokens = work.sequence * work.micro_batch / layout.context
    ranks = layout.world // layout.pipeline
    rate = speeds.domain if ranks < speeds.domain_size else speeds.network
    one = 2 * tokens * model.hidden / layout.split / rate + speeds.collective_seconds
    return COMMON.exposed_exchange * 2 * batches * layout.virtual * one


def _sharding_seconds(model: Model, layout: Layout, speeds: Speeds, batch: float) -> float:
    """Weights are gathered twice and gradients scattered once for each micro-batch."""
    share = share_of_stage(model, layout, 0).total
    moved = 6 * share * (layout.world - 1) / layout.world
    seconds = moved / _group_rate(speeds, layout.world, 1)
    hidden = min(seconds, batch) * COMMON.overlapped
    return seconds - hidden + 3 * model.layers * speeds.collective_seconds


def _gradient_seconds(layout: Layout, speeds: Speeds, share: int) -> float:
    """Scatter fp32 gradients, gather bf16 weights; the last backward pass hides a part."""
    size = layout.data * layout.context
    if size == 1:
        return 0.0
    moved = (6 if layout.distributed_optimizer else 8) * share * (size - 1) / size
    return (1 - COMMON.overlapped) * moved / _group_rate(speeds, size, layout.tensor)


def _group_rate(speeds: Speeds, size: int, stride: int) -> float:
    """Return the rate of a collective: members in one domain share its network cards."""
    near = max(1, speeds.domain_size // stride)
    if size <= near:
        return speeds.domain
    return min(speeds.domain, near * speeds.network)


def _optimizer_seconds(layout: Layout, speeds: Speeds, share: int) -> float:
    """AdamW reads and writes 30 bytes a parameter."""
    parts = 1
    if layout.is_fully_sharded:
        parts = layout.world
    elif layout.distributed_optimizer:
        parts = layout.data * layout.context
    return 30 * share / parts / speeds.memory + speeds.step_seconds
