"""The loss on the held-out sequences."""

import math
from dataclasses import dataclass
from functools import partial

import torch

from pretrain_api.v1alpha1.progress import ValidationLoss
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
    """The loss on held-out sequences."""

    name: str
    """Name of the validation set; empty if it is the only one, or for all of them together."""
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


def held_out_losses(model: ParallelModel, dataset: Dataset, stop: StopRequest) -> list[HeldOutLoss]:
    """Return the loss on each validation set whose labels count, in their order.

    Raises:
        EvaluationStopped: If any rank was asked to stop; all ranks raise it.
        NotANumber: If the loss is not a number.
    """
    losses = []
    with model.evaluating(), torch.no_grad():
        for entry in dataset.block_list.validation:
            loss = tokens = 0.0
            read = partial(dataset.validation_sample, entry)
            size = model.layout.global_batch_size
            for first in range(0, entry.sequences, size):
                batch = GlobalBatch(read, model, first, size, entry.sequences)
                flags = RankFlags(stop_requested=stop.is_requested)
                totals = forward_backward(model, batch, flags, forward_only=True)
                if totals.stop_requested:
                    raise EvaluationStopped
                loss, tokens = loss + totals.loss, tokens + totals.tokens
            if not math.isfinite(loss):
                of_set = f" of the validation set {entry.name}" if entry.name else ""
                raise NotANumber(f"the loss of the held-out sequences{of_set} is not a number")
            if tokens:
                losses.append(HeldOutLoss(entry.name, loss, tokens, entry.bytes))
    return losses


def loss_of_all(losses: list[HeldOutLoss]) -> HeldOutLoss:
    """Return the loss on all validation sets together, each token counted once."""
    sizes = [one.text_bytes for one in losses]
    known = [size for size in sizes if size]
    text_bytes = sum(known) if len(known) == len(sizes) else None
    nats, tokens = sum(one.nats for one in losses), sum(one.tokens for one in losses)
    return HeldOutLoss("", nats, tokens, text_bytes)


def named_losses(
    losses: list[HeldOutLoss], before: list[ValidationLoss], is_initial: bool
) -> list[ValidationLoss]:
    """Return the losses of the named validation sets, with those before the first step.

    Args:
        losses: The newest losses.
        before: What the last evaluation returned.
        is_initial: Whether no step was done yet.
    """
    first = {one.name: one for one in before}
    return [_named(one, is_initial, first.get(one.name)) for one in losses if one.name]


def _named(loss: HeldOutLoss, is_initial: bool, before: ValidationLoss | None) -> ValidationLoss:
    new = ValidationLoss(
        name=loss.name,
        perplexity=_short(loss.perplexity),
        bits_per_byte=None if loss.bits_per_byte is None else _short(loss.bits_per_byte),
    )
    first = {"initial_perplexity": new.perplexity, "initial_bits_per_byte": new.bits_per_byte}
    if not is_initial:
        first = {name: getattr(before, name, None) for name in first}
    return new.model_copy(update=first)


def _short(value: float) -> float:
    """Return a value with five digits: many sets share the room of a termination message."""
    return float(f"{value:.5g}")
