"""The forward and backward passes of a global batch, in Megatron-core's pipeline schedule.

Shapes: `B` sequences of a micro-batch, `L` tokens of a sequence.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from megatron.core import parallel_state
from megatron.core.pipeline_parallel import get_forward_backward_func
from megatron.core.transformer.moe.moe_logging import get_moe_metrics_tracker

from pretrain_workloads.trainer.megatron.parallel_model import ParallelModel


@dataclass(frozen=True)
class MicroBatch:
    """Input of one forward pass: this rank's part of the sequences."""

    tokens_BL: torch.Tensor  # noqa: N815
    labels_BL: torch.Tensor  # noqa: N815
    positions_BL: torch.Tensor  # noqa: N815
    weights_BL: torch.Tensor  # noqa: N815
    """One for a label that counts, zero for a prompt's or one that pads the last batch."""
    tokens: float
    """What the loss is divided by: the labels of the global batch that count, divided by the
    micro-batches of all data-parallel ranks."""


class MicroBatches(Protocol):
    """The micro-batches of one rank in a global batch."""

    @property
    def count(self) -> int:
        """Return how many there are."""
        ...

    def __iter__(self) -> Iterator[MicroBatch]:
        """Yield them, the same in each iteration."""
        ...


@dataclass(frozen=True)
class RankFlags:
    """Flags of one rank; a flag that is set on any rank is set in the totals of all."""

    stop_requested: bool = False
    """Whether the rank was asked to save and end."""
    save_due: bool = False
    """Whether it is time for a checkpoint."""
    is_writing: bool = False
    """Whether the rank still writes its part of a checkpoint."""
    has_spiked: bool = False
    """Whether the rank found that the loss has spiked."""


@dataclass(frozen=True)
class StepTotals:
    """Results of a global batch, summed over all ranks and the same on each of them."""

    loss: float
    """Cross-entropy in nats, summed over tokens."""
    tokens: float
    """Number of tokens that count."""
    stop_requested: bool
    """Whether any rank was asked to save and end."""
    save_due: bool
    """Whether it is time for a checkpoint on any rank."""
    is_writing: bool
    """Whether any rank still writes its part of a checkpoint."""
    has_spiked: bool = False
    """Whether any rank found that the loss has spiked."""
    expert_imbalance: float | None = None
    """How unevenly tokens went to the experts, on average over layers and sequences; 1 is even."""

    @property
    def mean_loss(self) -> float:
        """Return the mean cross-entropy of a token; zero for a batch of prompts, of which none
        counts.
        """
        return self.loss / self.tokens if self.tokens else self.loss


def forward_backward(
    model: ParallelModel,
    batches: MicroBatches,
    flags: RankFlags,
    forward_only: bool = False,
) -> StepTotals:
    """Run the forward and backward passes of a global batch and return its totals.

    Args:
        model: Gradients are added to its buffers.
        batches: The micro-batches of this rank. It is iterated once for each chunk of the model.
        flags: Summed in the same all-reduce as the loss, so that all ranks decide the same.
        forward_only: Skip the backward passes.
    """
    iterators = [iter(batches) for _ in model.chunks]
    results = get_forward_backward_func()(
        forward_step_func=_forward,
        data_iterator=iterators if model.is_interleaved else iterators[0],
        model=model.chunks if model.is_interleaved else model.chunks[0],
        num_microbatches=batches.count,
        seq_length=model.layout.seq_length,
        micro_batch_size=model.layout.micro_batch_size,
        forward_only=forward_only,
    )
    loss, tokens = _local_sums(results)
    is_bad = not math.isfinite(loss)
    # On some devices a NaN would spread to the other values: it is all-reduced as a flag instead.
    loss, tokens, bad, stopping, saving, writing, spiked, imbalance = model.groups.all_reduce(
        0.0 if is_bad else loss,
        tokens,
        float(is_bad),
        float(flags.stop_requested),
        float(flags.save_due),
        float(flags.is_writing),
        float(flags.has_spiked),
        _take_imbalance(),
    )
    passes = batches.count * model.layout.data_parallel_size * model.layout.expert_layers
    return StepTotals(
        loss=math.nan if bad else loss,
        tokens=tokens,
        stop_requested=stopping > 0,
        save_due=saving > 0,
        is_writing=writing > 0,
        has_spiked=spiked > 0,
        expert_imbalance=imbalance / passes if imbalance else None,
    )


def _local_sums(results: list[dict[str, torch.Tensor]]) -> tuple[float, float]:
    """Return loss and tokens of this rank's micro-batches.

    Only one rank of each tensor-parallel group counts, in the last pipeline stage.
    """
    is_counted = (
        parallel_state.is_pipeline_last_stage(ignore_virtual=True)
        and parallel_state.get_tensor_model_parallel_rank() == 0
    )
    if not is_counted or not results:
        return 0.0, 0.0
    loss, tokens = torch.stack([result["sums"] for result in results]).double().sum(0).tolist()
    return loss, tokens


def _take_imbalance() -> float:
    """Return what this rank's routers have recorded since the last call, over all their passes."""
    recorded = get_moe_metrics_tracker().metrics.get("seq_load_balancing_loss")
    if recorded is None:
        return 0.0
    total = float(recorded.values.sum())
    recorded.values.zero_()
    return total


def _forward(iterator: Iterator[MicroBatch], model: Any) -> tuple[torch.Tensor, Any]:
    batch = next(iterator)
    losses_BL = model(batch.tokens_BL, batch.positions_BL, None, labels=batch.labels_BL)  # noqa: N806
    return losses_BL, partial(_reduce_losses, batch)


def _reduce_losses(
    batch: MicroBatch,
    losses_BL: torch.Tensor,  # noqa: N803
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return the loss for the backward pass, and the sums for the totals."""
    total = (losses_BL.float() * batch.weights_BL).sum()
    sums = torch.stack([total.detach(), batch.weights_BL.sum()])
    # The schedule divides the loss in place by the number of micro-batches, and multiplies it by
    # the context-parallel size: so it is divided by the tokens of all context-parallel ranks here.
    return total / batch.tokens, {"sums": sums}
