"""One optimizer step, and the loss of held-out sequences: Megatron-core's schedule of passes."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from megatron.core import parallel_state
from megatron.core.pipeline_parallel import get_forward_backward_func

from pretrain_workloads.trainer.blocks.batches import MicroBatch
from pretrain_workloads.trainer.megatron.parallel_layout import Layout
from pretrain_workloads.trainer.megatron.process_groups import World
from pretrain_workloads.trainer.pod.ends import NotANumber

type Batches = Callable[[], Iterator[MicroBatch]]


@dataclass(frozen=True)
class Sums:
    """What a global batch gave, summed over all ranks."""

    loss: float
    """Cross-entropy, in nats, summed over tokens."""
    tokens: float
    """Tokens that count."""
    flags: list[float]
    """How many ranks raised each flag."""

    @property
    def mean_loss(self) -> float:
        """Return the mean cross-entropy of a token."""
        return self.loss / self.tokens if self.tokens else math.nan


def run_passes(
    chunks: list[Any],
    layout: Layout,
    world: World,
    batches: Batches,
    flags: list[bool],
    forward_only: bool,
) -> Sums:
    """Run the forward (and backward) passes of a global batch; all ranks get the same sums.

    `flags` are this rank's; what all raised comes with the one message that sums the loss, so that
    a decision about them is the same everywhere.
    """
    interleaved = len(chunks) > 1
    results = get_forward_backward_func()(
        forward_step_func=_forward,
        data_iterator=[batches() for _ in chunks] if interleaved else batches(),
        model=chunks if interleaved else chunks[0],
        num_microbatches=layout.micro_batches,
        seq_length=layout.seq_length,
        micro_batch_size=layout.micro_batch_size,
        forward_only=forward_only,
    )
    mine = _is_counted() and bool(results)
    parts = torch.stack([result["sums"] for result in results]).double() if mine else None
    loss, tokens = parts.sum(0).tolist() if parts is not None else (0.0, 0.0)
    bad = not math.isfinite(loss)
    # Not a number would spread to the flags of others on some devices: it travels as a flag.
    total = world.sum(0.0 if bad else loss, tokens, float(bad), *map(float, flags))
    if total[2]:
        return Sums(math.nan, total[1], total[3:])
    return Sums(total[0], total[1], total[3:])


def _is_counted() -> bool:
    """Return whether this rank's loss counts: one rank of each tensor-parallel group's does."""
    return bool(
        parallel_state.is_pipeline_last_stage(ignore_virtual=True)
        and parallel_state.get_tensor_model_parallel_rank() == 0
    )


def _forward(iterator: Iterator[MicroBatch], model: Any) -> tuple[torch.Tensor, Any]:
    batch = next(iterator)
    output = model(batch.tokens_BL, batch.positions_BL, None, labels=batch.labels_BL)

    def loss(losses_BL: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:  # noqa: N803
        counted = losses_BL.float() * batch.weights_BL
        total = counted.sum()
        sums = torch.stack([total.detach(), batch.weights_BL.sum()])
        # The schedule divides what it gets in place by the micro-batches, and multiplies it by the
        # context-parallel size: so the tokens of all context-parallel ranks divide it here.
        return total / batch.tokens, {"sums": sums}

    return output, loss


def optimizer_step(
    chunks: list[Any],
    optimizer: Any,
    passes: Callable[[], Sums],
    set_rate: Callable[[], None],
) -> tuple[Sums, float]:
    """Run `passes` and change the weights; return the sums and the norm of the gradient.

    Raises:
        NotANumber: If the loss (before weights change) or the gradient is none, on every rank.
    """
    for chunk in chunks:
        chunk.zero_grad_buffer()
    optimizer.zero_grad()
    sums = passes()
    if not math.isfinite(sums.mean_loss):
        raise NotANumber(f"the loss is {sums.mean_loss}")
    set_rate()
    _, norm, _ = optimizer.step()
    norm = float(norm) if norm is not None else 0.0
    if not math.isfinite(norm):
        raise NotANumber(f"the norm of the gradient is {norm}, the loss {sums.mean_loss:.4f}")
    return sums, norm
