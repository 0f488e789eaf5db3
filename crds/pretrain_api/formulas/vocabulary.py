"""Padding of the vocabulary: the embedding has more rows than the tokenizer has ids."""

VOCABULARY_MULTIPLE = 128
"""The embedding has a multiple of this many rows. It does not depend on the parallel sizes, so that
a checkpoint can be loaded under others (Megatron-LM multiplies it by the tensor-parallel size)."""


def padded_vocabulary_size(vocabulary_size: int, multiple: int = VOCABULARY_MULTIPLE) -> int:
    """Return the rows of the embedding for a vocabulary of `vocabulary_size` ids.

    Source: Megatron-LM core_v0.19.0 `training/vocab_utils.py`.
    """
    return -(-vocabulary_size // multiple) * multiple
