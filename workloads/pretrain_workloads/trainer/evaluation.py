"""Perplexity on the held-out sequences."""

import math

import torch

from pretrain_workloads.trainer.blocks.batches import GlobalBatch
from pretrain_workloads.trainer.blocks.dataset import Dataset
from pretrain_workloads.trainer.megatron.forward_backward import RankFlags, forward_backward
from pretrain_workloads.trainer.megatron.parallel_model import ParallelModel
from pretrain_workloads.trainer.pod.interrupts import StopRequest
from pretrain_workloads.trainer.pod.rank_failures import NotANumber


class EvaluationStopped(Exception):
    """The evaluation was abandoned because the ranks must save and end."""


def perplexity(model: ParallelModel, dataset: Dataset, stop: StopRequest) -> float | None:
    """Return exp of the mean loss of all held-out tokens, or `None` if nothing is held out.

    Raises:
        EvaluationStopped: If any rank was asked to stop; all ranks raise it.
        NotANumber: If the loss is not a number.
    """
    end = dataset.validation_size
    loss = tokens = 0.0
    with model.evaluating(), torch.no_grad():
        for first in range(0, end, model.layout.global_batch_size):
            batch = GlobalBatch(dataset.validation_sequence, model, first, end)
            flags = RankFlags(stop_requested=stop.is_requested)
            totals = forward_backward(model, batch, flags, forward_only=True)
            if totals.stop_requested:
                raise EvaluationStopped
            loss, tokens = loss + totals.loss, tokens + totals.tokens
    if not tokens:
        return None
    if not math.isfinite(loss):
        raise NotANumber("the loss of the held-out sequences is not a number")
    # The perplexity of a model that was just initialized may exceed the largest float.
    return math.exp(min(loss / tokens, 700.0))
