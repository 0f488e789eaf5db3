"""The vocabulary of a model: its ids, and the rows of the embedding, of which there are more."""

VOCABULARY_MULTIPLE = 128
"""The embedding has a multiple of this many rows. It does not depend on the parallel sizes, so that
a checkpoint can be loaded under others (Megatron-LM multiplies it by the tensor-parallel size)."""


def vocabulary_size_of(model_size: int | None, tokenizer_size: int) -> int:
    """Return the ids of a model: `spec.model.vocabularySize` or the tokenizer's, if they are more.

    `model_size` is `None` where the spec leaves it to the tokenizer.
    """
    return max(model_size or 0, tokenizer_size)


def padded_vocabulary_size(vocabulary_size: int, multiple: int = VOCABULARY_MULTIPLE) -> int:
    """Return the rows of the embedding for a vocabulary of `vocabulary_size` ids.

    Source: Megatron-LM core_v0.19.0 `training/vocab_utils.py`.
    """
    return -(-vocabulary_size // multiple) * multiple
