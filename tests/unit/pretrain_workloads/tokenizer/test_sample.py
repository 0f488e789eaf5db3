from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pretrain_api.v1alpha1.tokenizer import TokenizerCorpus
from pretrain_workloads.failures import UserError
from pretrain_workloads.tokenizer.sample import EVALUATE, TRAIN, draw_sample


def index(**counts: int) -> pa.Table:
    names = [(language, n) for language, count in counts.items() for n in range(count)]
    return pa.table(
        {
            "id": [f"{language}/{n}" for language, n in names],
            "language": [language for language, _ in names],
            "bytes": pa.array([100] * len(names), pa.int64()),
        }
    )


def sampled(table: pa.Table, corpus: dict[str, Any]) -> dict[str, int]:
    spec = TokenizerCorpus.model_validate({"pipelineRef": {"name": "d"}} | corpus)
    uses = draw_sample(table, spec).uses
    languages = np.array(table["language"].to_pylist())
    trained = (uses & TRAIN) > 0
    return {name: int((languages[trained] == name).sum()) for name in sorted(set(languages))}


def test_the_sample_follows_the_weights() -> None:
    corpus = {"sampleBytes": 30_000, "languageWeights": {"zh": 2, "en": 1}}
    assert sampled(index(zh=900, en=900), corpus) == {"en": 100, "zh": 200}


def test_without_weights_all_languages_have_the_same_share() -> None:
    corpus = {"sampleBytes": 20_000}
    assert sampled(index(zh=900, en=900), corpus) == {"en": 100, "zh": 100}


def test_a_weighted_language_without_documents_is_refused() -> None:
    with pytest.raises(UserError, match=r"languageWeights: fr: the documents are in en, zh"):
        sampled(index(zh=9, en=9), {"languageWeights": {"zh": 1, "fr": 1}})


def test_evaluation_is_on_other_documents_than_training_where_there_are_enough() -> None:
    corpus = TokenizerCorpus.model_validate({"pipelineRef": {"name": "d"}})
    many = draw_sample(index(zh=900), corpus).uses
    assert not ((many & TRAIN) & (many & EVALUATE) // EVALUATE).any()
    assert (many & EVALUATE).any()
    few = draw_sample(index(zh=1), corpus).uses
    assert few.tolist() == [TRAIN | EVALUATE]


def test_the_sample_does_not_depend_on_the_order_of_documents() -> None:
    table = index(zh=300, en=300)
    order = np.random.default_rng(0).permutation(table.num_rows)
    corpus = TokenizerCorpus.model_validate({"pipelineRef": {"name": "d"}, "sampleBytes": 9_000})
    uses = draw_sample(table, corpus).uses
    assert (draw_sample(table.take(pa.array(order)), corpus).uses == uses[order]).all()
