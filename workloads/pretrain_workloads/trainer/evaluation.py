"""Perplexity on the sequences that are held out."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pretrain_workloads.trainer.blocks.batches import micro_batches
from pretrain_workloads.trainer.blocks.dataset import Dataset
from pretrain_workloads.trainer.megatron.forward_backward import run_passes
from pretrain_workloads.trainer.megatron.parallel_layout import Layout
from pretrain_workloads.trainer.megatron.process_groups import World
from pretrain_workloads.trainer.pod.ends import NotANumber


class Stopped(Exception):
    """The evaluation was given up because the ranks have to save and end."""


def perplexity(
    chunks: list[Any],
    layout: Layout,
    world: World,
    dataset: Dataset,
    is_stop_asked: Callable[[], bool],
) -> float | None:
    """Return exp of the mean loss of all held-out tokens, or `None` if nothing is held out.

    Raises:
        Stopped: If a rank was asked to stop meanwhile; all ranks raise it.
        NotANumber: If the loss is none.
    """
    end = dataset.validation_size
    loss = tokens = 0.0
    with _evaluating(chunks), torch.no_grad():
        for first in range(0, end, layout.global_batch_size):
            sums = run_passes(
                chunks,
                layout,
                world,
                lambda first=first: micro_batches(  # type: ignore[misc]
                    layout,
                    dataset.validation_sequence,
                    first,
                    end,
                    world.device,
                ),
                flags=[is_stop_asked()],
                forward_only=True,
            )
            if sums.flags[0]:
                raise Stopped
            loss, tokens = loss + sums.loss, tokens + sums.tokens
    if not tokens:
        return None
    if not math.isfinite(loss):
        raise NotANumber("the loss of the held-out sequences is not a number")
    # A model that was just started may be worse than any number that fits.
    return math.exp(min(loss / tokens, 700.0))


@contextmanager
def _evaluating(chunks: list[Any]) -> Iterator[None]:
    for chunk in chunks:
        chunk.eval()
    try:
        yield
    finally:
        for chunk in chunks:
            chunk.train()
