"""The vocabulary that a plan is made for, and whether the embedding fits tokenizer and layout."""

from pretrain_api.formulas.divisibility import can_split_vocabulary, divisors
from pretrain_api.formulas.vocabulary import (
    VOCABULARY_MULTIPLE,
    padded_vocabulary_size,
    vocabulary_size_of,
)
from pretrain_api.rules import Problem
from pretrain_api.v1alpha1.model import ModelSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec

ASSUMED_VOCABULARY_SIZE = 128_256
"""Ids that a plan assumes while neither the model nor a tokenizer gives their number: Llama 3's."""

UNEVEN_ROWS = "vocabulary-tensor"
"""Id of the problem that tensor parallelism cannot split the embedding: then nothing is planned."""


def planned_vocabulary_size(model: ModelSpec, tokenizer_size: int | None) -> int:
    """Return the ids of the model, or an assumption while neither it nor a tokenizer gives them."""
    return vocabulary_size_of(model.vocabulary_size, tokenizer_size or 0) or ASSUMED_VOCABULARY_SIZE


def vocabulary_problems(spec: PretrainJobSpec, tokenizer_size: int | None) -> list[Problem]:
    """Return why the embedding of a run fits neither its tokenizer nor its tensor-parallel size.

    `tokenizer_size` are the ids of the tokenizer, `None` while it is not known.
    """
    problems = []
    model_size = spec.model.vocabulary_size
    if model_size is not None and tokenizer_size is not None and model_size < tokenizer_size:
        message = (
            f"{model_size} is less than the tokenizer's {tokenizer_size} ids; use {tokenizer_size}"
            " or more, or leave it out"
        )
        problems.append(Problem("vocabulary-tokenizer", "spec.model.vocabularySize", message))
    rows = padded_vocabulary_size(planned_vocabulary_size(spec.model, tokenizer_size))
    tensor = spec.parallelism.tensor
    if (model_size or tokenizer_size) and not can_split_vocabulary(rows, tensor):
        message = (
            f"{tensor} does not divide the {rows} rows of the padded embedding; use one of"
            f" {divisors(VOCABULARY_MULTIPLE)}"
        )
        problems.append(Problem(UNEVEN_ROWS, "spec.parallelism.tensor", message))
    return problems
