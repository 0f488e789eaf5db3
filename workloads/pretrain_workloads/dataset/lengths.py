"""Numbers of sequences and tokens: of the dataset, of a block, of the validation set."""

from typing import Any

import numpy.typing as npt

from pretrain_api.v1alpha1.tokendataset import TokenDatasetSpec
from pretrain_workloads.failures import UserError


def check_lengths(spec: TokenDatasetSpec) -> None:
    """Refuse a dataset or blocks that are shorter than one sequence.

    Raises:
        UserError: Names the field, its value and the smallest valid one.
    """
    length = spec.sequence_length
    if spec.block_tokens < length:
        raise UserError(
            f"spec.blockTokens: {spec.block_tokens} is less than one sequence of "
            f"{length} tokens; use {length} or more"
        )
    if spec.tokens < length:
        raise UserError(
            f"spec.tokens: {spec.tokens} is less than one sequence of {length} tokens; "
            f"use {length} or more"
        )


def dataset_sequences(spec: TokenDatasetSpec) -> int:
    """Return the number of training sequences."""
    return spec.tokens // spec.sequence_length


def block_sequences(spec: TokenDatasetSpec) -> int:
    """Return the number of sequences in a full block."""
    return spec.block_tokens // spec.sequence_length


def stream_tokens(sequences: int, sequence_length: int) -> int:
    """Return the tokens of so many sequences: one more, because the last one needs a target."""
    return sequences * sequence_length + 1


def validation_sequences(uses: npt.NDArray[Any], sequence_length: int) -> int:
    """Return the number of sequences in the uses (`mixture.USE`) of the validation set."""
    return max(0, int(uses["tokens"].sum()) - 1) // sequence_length
