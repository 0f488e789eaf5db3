"""A byte-level tokenizer: nothing is lost, and the fast encoder gives the ids of the reference."""

import random
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from data_runs import code, english, poems, tokenizer_spec
from pretrain_api.v1alpha1.tokenizer import TokenizerSpec
from pretrain_workloads.failures import UserError
from pretrain_workloads.tokenizer.encoder import (
    GIGATOKEN,
    TOKENIZERS,
    gigatoken_encoder,
    same_ids,
    tokenizers_encoder,
)
from pretrain_workloads.tokenizer.measure import measure
from pretrain_workloads.tokenizer.piece_bytes import huggingface_bytes
from pretrain_workloads.tokenizer.trained_tokenizer import TrainedTokenizer, train_tokenizer
from pretrain_workloads.tokenizer.vocabulary import END

BUSINESS = ("阿莫西林", "ai.listen.music", "C++17")


def corpus_texts() -> list[str]:
    return [record["text"] for record in (*poems(), *english(24), *code(12))]


def spec(**changes: Any) -> TokenizerSpec:
    fields = {"algorithm": "byteLevelBpe", "reservedTokens": 4, "businessTokens": BUSINESS}
    return TokenizerSpec.model_validate(tokenizer_spec("file:///pretrain/data") | fields | changes)


@lru_cache
def trained(split_digits: bool = True) -> TrainedTokenizer:
    return train_tokenizer(spec(splitDigits=split_digits), corpus_texts(), corpus_texts())


pieces = st.sampled_from(
    [
        *"aeiou 0159=_-#\n\t\r天。é\x00\x7f\u3000\u00a0\u202e\U0010ffffﷺ😀½١'",
        *"the| the|ing|床前|    |</s>|<s>|<unk>|<reserved_1>|👩\u200d👧|e\u0301|'ll|'RE".split("|"),
        *BUSINESS,
        "def f(x):\n    return x",
        "\n\n",
    ]
)
anything = st.lists(pieces, max_size=30).map("".join) | st.text(max_size=60)


@settings(max_examples=150, deadline=None)
@given(text=anything)
def test_the_bytes_of_all_ids_are_those_of_the_text(text: str) -> None:
    tokenizer = trained()
    ids, _ = tokenizer.encode([text])
    sizes = huggingface_bytes(tokenizer.files["tokenizer.json"])
    assert sizes[ids].sum() == len(text.encode())


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(anything, min_size=1, max_size=4), split_digits=st.booleans())
def test_text_comes_back_and_both_encoders_agree(texts: list[str], split_digits: bool) -> None:
    tokenizer = trained(split_digits)
    content = tokenizer.files["tokenizer.json"].decode()
    assert same_ids(gigatoken_encoder(content, END), tokenizers_encoder(content, END), texts)
    ids, lengths = tokenizer.encode(texts)
    ends = np.cumsum(lengths)
    assert (ids[ends - 1] == END).all()
    for text, start, end in zip(texts, [0, *ends], ends, strict=False):
        row = ids[start : end - 1].tolist()
        assert tokenizer.huggingface.decode(row, skip_special_tokens=False) == text
        assert not {0, 1, 2, 3, 4, 5, 6} & set(row), "text became a special token"


def test_the_fast_encoder_is_used_only_if_it_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    assert trained().encoder == GIGATOKEN
    module = "pretrain_workloads.tokenizer.encoder.gigatoken_encoder"
    monkeypatch.setattr(module, lambda content, end: lambda texts: (np.zeros(0), np.zeros(0)))
    other = train_tokenizer(spec(), corpus_texts(), corpus_texts())
    assert other.encoder == TOKENIZERS
    assert same_ids(other.encode, trained().encode, corpus_texts())


def test_the_ids_have_their_places() -> None:
    tokenizer = trained().huggingface
    want = ["<unk>", "<s>", "</s>", *(f"<reserved_{n}>" for n in range(4)), *BUSINESS]
    assert [tokenizer.id_to_token(number) for number in range(len(want))] == want
    assert tokenizer.get_vocab_size() == 1024
    assert trained().is_byte.sum() == 256 - 94 - 3


@pytest.mark.parametrize(("split", "most"), [(True, 1), (False, 3)])
def test_digits_are_split_singly_or_in_threes(split: bool, most: int) -> None:
    tokenizer = trained(split).huggingface
    found = [
        piece
        for piece in tokenizer.get_vocab()
        if sum(c.isdigit() for c in piece) > 1 and piece not in BUSINESS
    ]
    assert max((sum(c.isdigit() for c in piece) for piece in found), default=1) <= most


def test_business_tokens_are_one_id_wherever_they_stand() -> None:
    for token in BUSINESS:
        for text in (token, f"服用{token}片", f"the{token}s", f" {token}\n{token}"):
            ids = trained().encode([text])[0].tolist()
            number = trained().huggingface.token_to_id(token)
            assert ids.count(number) == text.count(token)


def test_the_letters_that_stand_for_bytes_are_those_that_admission_refuses() -> None:
    """A token of such letters only, added as it is, would be decoded as bytes."""
    letters = {c for c in pre_tokenizers.ByteLevel.alphabet() if ord(c) > 0x7E}
    assert letters == {chr(n) for n in range(0xA1, 0x144) if n != 0xAD}
    made = train_tokenizer(spec(businessTokens=["café", "咖é"]), corpus_texts(), [])
    ids, _ = made.encode(["café"])
    assert made.huggingface.decode(ids[:-1].tolist(), skip_special_tokens=False) != "café"
    ids, _ = made.encode(["咖é"])
    assert made.huggingface.decode(ids[:-1].tolist(), skip_special_tokens=False) == "咖é"


def test_training_twice_gives_the_same_files() -> None:
    again = train_tokenizer(spec(), corpus_texts(), corpus_texts())
    assert again.files == trained().files


def test_a_vocabulary_beyond_the_text_is_refused_with_what_would_do() -> None:
    texts = ["a few words, a few words only"]
    with pytest.raises(UserError, match=r"60000 is too large for the sample.*use \d+ or less"):
        train_tokenizer(spec(vocabularySize=60_000), texts, texts)


@pytest.mark.parametrize("algorithm", ["bpe", "byteLevelBpe"])
def test_a_sample_without_text_is_refused(algorithm: str) -> None:
    with pytest.raises(UserError, match="the sample holds no text"):
        train_tokenizer(spec(algorithm=algorithm), [], [])


def test_it_is_measured_like_any_other() -> None:
    made = trained()
    texts = [("zh", poems()[0]["text"]), ("en", english(16)[5]["text"])]
    measures = measure(made, texts)
    assert measures.characters_per_token["en"] > measures.characters_per_token["zh"] > 0.2
    assert 0 < measures.byte_fallback < 0.9


@pytest.mark.timeout(20)
@pytest.mark.parametrize("letters", ["a", "天地玄黄宇宙洪荒", "=-"])
def test_a_megabyte_without_a_space_is_no_obstacle(letters: str) -> None:
    run = "".join(random.Random(0).choices(letters, k=1_000_000))
    made = train_tokenizer(spec(), [*corpus_texts(), run], [])
    ids, _ = made.encode([run])
    assert made.huggingface.decode(ids[:-1].tolist(), skip_special_tokens=False) == run
