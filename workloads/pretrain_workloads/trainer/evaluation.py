"""The loss on the held-out sequences."""

import math
from dataclasses import dataclass

import torch

from pretrain_workloads.trainer.blocks.batches import GlobalBatch
from pretrain_workloads.trainer.blocks.dataset import Dataset
from pretrain_workloads.trainer.megatron.forward_backward import RankFlags, forward_backward
from pretrain_workloads.trainer.megatron.parallel_model import ParallelModel
from pretrain_workloads.trainer.pod.interrupts import StopRequest
from pretrain_workloads.trainer.pod.rank_failures import NotANumber


class EvaluationStopped(Exception):
    """The evaluation was abandoned because the ranks must save and end."""


@dataclass(frozen=True)
class HeldOutLoss:
    """The loss on all held-out sequences."""

    nats: float
    """Cross-entropy, summed over tokens."""
    tokens: float
    text_bytes: int | None
    """Bytes of text that the tokens stand for, if that is known."""

    @property
    def perplexity(self) -> float:
        """Return exp of the mean loss of a token."""
        # That of a model that was just initialized may exceed the largest float.
        return math.exp(min(self.nats / self.tokens, 700.0))

    @property
    def bits_per_byte(self) -> float | None:
        """Return the loss in bits a byte of text, which does not depend on the tokenizer."""
        return self.nats / math.log(2) / self.text_bytes if self.text_bytes else None


def held_out_loss(model: ParallelModel, dataset: Dataset, stop: StopRequest) -> HeldOutLoss | None:
    """Return the loss on all held-out sequences, or `None` if nothing is held out.

    Raises:
        EvaluationStopped: If any rank was asked to stop; all ranks raise it.
        NotANumber: If the loss is not a number.
    """
    end = dataset.validation_size
    loss = tokens = 0.0
    with model.evaluating(), torch.no_grad():
        for first in range(0, end, model.layout.global_batch_size):
            batch = GlobalBatch(dataset.validation_sample, model, first, end)
            flags = RankFlags(stop_requested=stop.is_requested)
            totals = forward_backward(model, batch, flags, forward_only=True)
            if totals.stop_requested:
                raise EvaluationStopped
            loss, tokens = loss + totals.loss, tokens + totals.tokens
    if not tokens:
        return None
    if not math.isfinite(loss):
        raise NotANumber("the loss of the held-out sequences is not a number")
    return HeldOutLoss(loss, tokens, dataset.validation_bytes)
