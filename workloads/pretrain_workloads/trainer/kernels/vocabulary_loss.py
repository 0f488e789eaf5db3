"""Cross-entropy over a vocabulary that is split over the tensor-parallel ranks.

Shapes: `N` tokens, `V` rows of the vocabulary on this rank.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch.distributed import ProcessGroup, ReduceOp, all_reduce

from pretrain_workloads.trainer.kernels.devices import fused

_CHUNK_NUMBERS = 2**18
"""Logits that a CPU works on at a time: their 32-bit copy stays in its cache."""


@dataclass(frozen=True)
class VocabularyPart:
    """The rows of the vocabulary that one rank holds."""

    first: int
    """Id of the first row."""
    size: int
    """Number of rows that are ids; those behind them pad the matrix, and no softmax has them."""
    group: ProcessGroup
    """Ranks that hold the other rows."""


def vocabulary_part(rows: int, vocabulary_size: int, group: ProcessGroup) -> VocabularyPart:
    """Return the part of a rank with `rows` rows, of a vocabulary with `vocabulary_size` ids."""
    first = group.rank() * rows
    return VocabularyPart(first, min(max(vocabulary_size - first, 0), rows), group)


def cross_entropy(
    logits_NV: torch.Tensor,  # noqa: N803
    labels_N: torch.Tensor,  # noqa: N803
    part: VocabularyPart,
) -> torch.Tensor:
    """Return the cross-entropy of each label in nats, `[N]`, in 32 bits.

    The logits are overwritten with their gradients in the backward pass, so that a rank holds them
    once. All ranks of the part's group call it together.
    """
    return _CrossEntropy.apply(logits_NV, labels_N, part)  # type: ignore[no-any-return]


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        logits_NV: torch.Tensor,  # noqa: N803
        labels_N: torch.Tensor,  # noqa: N803
        part: VocabularyPart,
    ) -> torch.Tensor:
        columns_N = labels_N - part.first  # noqa: N806
        held_N = (columns_N >= 0) & (columns_N < part.size)  # noqa: N806
        columns_N = columns_N.clamp(0, max(part.size - 1, 0))  # noqa: N806
        log_sums_N = _log_sums(logits_NV, part)  # noqa: N806
        chosen_N = logits_NV.gather(1, columns_N[:, None])[:, 0].float() * held_N  # noqa: N806
        if part.group.size() > 1:
            log_sums_N = _add_over_ranks(log_sums_N, part.group)  # noqa: N806
            all_reduce(chosen_N, group=part.group)
        context.part = part
        context.save_for_backward(logits_NV, columns_N, held_N, log_sums_N)
        return log_sums_N - chosen_N

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        logits_NV, columns_N, held_N, log_sums_N = context.saved_tensors  # noqa: N806
        gradient_N = gradients[0]  # noqa: N806
        for rows in _chunks(logits_NV):
            chunk = logits_NV[rows]
            _to_gradient(chunk[:, : context.part.size], log_sums_N[rows], gradient_N[rows])
        logits_NV[:, context.part.size :] = 0
        minus_N1 = -(gradient_N * held_N)[:, None].to(logits_NV.dtype)  # noqa: N806
        logits_NV.scatter_add_(1, columns_N[:, None], minus_N1)
        return logits_NV, None, None


def _log_sums(logits_NV: torch.Tensor, part: VocabularyPart) -> torch.Tensor:  # noqa: N803
    """Return the logarithm of the sum of this rank's exponentials, `[N]`."""
    if not part.size:
        return logits_NV.new_full(logits_NV.shape[:1], -torch.inf, dtype=torch.float32)
    return torch.cat([_log_sum_exp(logits_NV[rows, : part.size]) for rows in _chunks(logits_NV)])


def _add_over_ranks(log_sums_N: torch.Tensor, group: ProcessGroup) -> torch.Tensor:  # noqa: N803
    """Return the logarithm of the sum over the ranks."""
    largest_N = log_sums_N.clone()  # noqa: N806
    all_reduce(largest_N, ReduceOp.MAX, group)
    sums_N = torch.exp(log_sums_N - largest_N)  # noqa: N806
    all_reduce(sums_N, group=group)
    return largest_N + sums_N.log()


def _chunks(logits_NV: torch.Tensor) -> list[slice]:  # noqa: N803
    tokens, rows = logits_NV.shape
    size = tokens if logits_NV.is_cuda else max(1, _CHUNK_NUMBERS // max(rows, 1))
    return [slice(start, start + size) for start in range(0, tokens, size)]


@fused
def _log_sum_exp(logits_NV: torch.Tensor) -> torch.Tensor:  # noqa: N803
    return torch.logsumexp(logits_NV.float(), dim=-1)


@fused
def _to_gradient(
    logits_NV: torch.Tensor,  # noqa: N803
    log_sums_N: torch.Tensor,  # noqa: N803
    gradient_N: torch.Tensor,  # noqa: N803
) -> None:
    """Overwrite logits with the gradients of their exponentials' part of the loss."""
    shares_NV = torch.exp(logits_NV.float() - log_sums_N[:, None])  # noqa: N806
    logits_NV.copy_(shares_NV * gradient_N[:, None])
