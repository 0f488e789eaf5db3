"""A tokenizer that loses nothing, in two forms that agree, trained once on small real text."""

import json
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from data_runs import code, english, poems, tokenizer_spec
from pretrain_api.v1alpha1.tokenizer import TokenizerSpec
from pretrain_workloads.failures import UserError
from pretrain_workloads.tokenizer.conversion import configuration, convert
from pretrain_workloads.tokenizer.encoder import SENTENCEPIECE, sentencepiece_encoder
from pretrain_workloads.tokenizer.measure import TokenizerMismatch, measure
from pretrain_workloads.tokenizer.piece_bytes import sentencepiece_bytes
from pretrain_workloads.tokenizer.trained_tokenizer import TrainedTokenizer
from pretrain_workloads.tokenizer.training import train, training_lines, without_rare_characters
from pretrain_workloads.tokenizer.vocabulary import SPACE, WHITESPACE


def spec(**changes: Any) -> TokenizerSpec:
    return TokenizerSpec.model_validate(tokenizer_spec("file:///pretrain/data") | changes)


def corpus_texts() -> list[str]:
    return [record["text"] for record in (*poems(), *english(16), *code(8))]


@lru_cache
def model(reserved: int = 5) -> bytes:
    lines = list(training_lines(corpus_texts()))
    return train(spec(reservedTokens=reserved), lines)


@lru_cache
def both() -> tuple[Any, Any]:
    """Return the SentencePiece and the Hugging Face form."""
    huggingface = convert(model())
    huggingface.encode_special_tokens = True
    return sentencepiece.SentencePieceProcessor(model_proto=model()), huggingface


pieces = st.sampled_from(
    [
        *"aeiou 0159=_-#\n\t天。é\x00\x7f\u3000\u00a0\u202e\U0010ffffﷺ😀",
        *"the| the|ing|床前|    |</s>|<s>|<0x41>|<unk>|<reserved_1>|👩‍👩‍👧|e\u0301".split("|"),
        "def f(x):\n    return x",
        "\n\n",
    ]
)
anything = st.lists(pieces, max_size=30).map("".join) | st.text(max_size=60)


@settings(max_examples=150, deadline=None)
@given(text=anything)
def test_the_bytes_of_all_ids_are_those_of_the_text(text: str) -> None:
    ids, _ = sentencepiece_encoder(model())([text])
    assert sentencepiece_bytes(model())[ids].sum() == len(text.encode())


@settings(max_examples=150, deadline=None)
@given(text=anything)
def test_text_comes_back_as_it_was(text: str) -> None:
    processor, huggingface = both()
    ids = processor.encode(text)
    want = text.replace(SPACE, " ")
    assert processor.decode(ids) == want
    assert huggingface.decode(ids, skip_special_tokens=False) == want


@settings(max_examples=150, deadline=None)
@given(text=anything)
def test_both_forms_give_the_same_ids(text: str) -> None:
    processor, huggingface = both()
    assert huggingface.encode(text, add_special_tokens=False).ids == processor.encode(text)


def test_both_forms_split_an_indentation_from_its_line_at_the_same_place() -> None:
    processor, huggingface = both()
    for indentation in WHITESPACE:
        for start in [*"abcdefghijklmnopqrstuvwxyz_#(", "the", "def", "床"]:
            line = indentation.replace(SPACE, " ") + start
            ids = huggingface.encode(line, add_special_tokens=False).ids
            assert ids == processor.encode(line), repr(line)


def test_both_forms_agree_on_real_text() -> None:
    processor, huggingface = both()
    for text in corpus_texts():
        assert huggingface.encode(text, add_special_tokens=False).ids == processor.encode(text)


def test_no_text_becomes_a_control_id() -> None:
    processor, _ = both()
    text = "</s><s><unk><reserved_0><reserved_4>"
    controls = {0, 1, 2, *(processor.piece_to_id(f"<reserved_{n}>") for n in range(5))}
    assert controls.isdisjoint(processor.encode(text))
    assert len(controls) == 8


def test_the_first_ids_are_fixed() -> None:
    processor, huggingface = both()
    assert [processor.id_to_piece(n) for n in range(3)] == ["<unk>", "<s>", "</s>"]
    assert processor.vocab_size() == huggingface.get_vocab_size() == 1024
    assert (processor.eos_id(), huggingface.token_to_id("</s>")) == (2, 2)


def test_each_piece_of_whitespace_is_one_id() -> None:
    processor, _ = both()
    for piece in WHITESPACE:
        assert len(processor.encode(piece.replace(SPACE, " "))) == 1


BUSINESS = ["阿莫西林", "ai.listen.music", "C++17"]


def test_business_tokens_are_one_id_wherever_they_stand_in_both_forms() -> None:
    trained = train(spec(businessTokens=BUSINESS), list(training_lines(corpus_texts())))
    processor = sentencepiece.SentencePieceProcessor(model_proto=trained)
    huggingface = convert(trained, BUSINESS)
    for token in BUSINESS:
        number = processor.piece_to_id(token)
        for text in (
            token,
            f"服用{token}片",
            f"the{token}s",
            f" {token}\n{token}",
            f"{token}{token}",
        ):
            ids = processor.encode(text)
            assert ids.count(number) == text.count(token), text
            assert huggingface.encode(text, add_special_tokens=False).ids == ids
            assert processor.decode(ids) == text


def test_digits_are_single_pieces() -> None:
    processor, _ = both()
    assert processor.encode("20260102", out_type=str) == list("20260102")


def test_training_twice_gives_the_same_model() -> None:
    lines = list(training_lines(corpus_texts()[:60]))
    assert train(spec(vocabularySize=600), lines) == train(spec(vocabularySize=600), lines)


def test_too_large_a_vocabulary_says_which_would_do() -> None:
    lines = ["one two three four five six", "seven eight nine ten eleven twelve"]
    with pytest.raises(
        UserError, match=r"20000 is too large for the 61 char.*use \d+ or less"
    ) as e:
        train(spec(vocabularySize=20_000), lines)
    largest = int(str(e.value).split("use ")[1].split()[0])
    try:
        small = train(spec(vocabularySize=max(512, largest)), lines)
    except UserError:
        assert largest < 512  # the smallest vocabulary that the API takes
    else:
        assert sentencepiece.SentencePieceProcessor(model_proto=small).vocab_size() == largest


def test_too_many_reserved_tokens_say_what_is_left() -> None:
    with pytest.raises(UserError, match=r"512 leaves 0 pieces to learn.*use \d+ or more"):
        train(spec(vocabularySize=512, reservedTokens=400), ["text"])


def test_rare_characters_do_not_fill_the_vocabulary() -> None:
    lines = ["天地玄黄" * 10 + "宇" + "天地" * 10, "洪"]
    assert without_rare_characters(lines, 2) == ["天地"] * 10 + ["天地" * 10]
    assert without_rare_characters(lines, 100) == lines
    assert without_rare_characters([], 5) == []


def test_long_lines_are_cut_and_line_ends_left_out() -> None:
    lines = list(training_lines(["a\n\nb", "x" * 2500]))
    assert lines == ["a", "b", "x" * 1000, "x" * 1000, "x" * 500]


def forms() -> TrainedTokenizer:
    processor, huggingface = both()
    return TrainedTokenizer(
        encode=sentencepiece_encoder(model()),
        encoder=SENTENCEPIECE,
        decode=processor.decode,
        huggingface=huggingface,
        is_byte=np.zeros(1024, np.bool_),
        files={},
    )


def test_measures_are_taken_by_language() -> None:
    texts = [("zh", poems()[0]["text"]), ("en", english(16)[5]["text"])]
    measures = measure(forms(), texts)
    assert set(measures.characters_per_token) == {"zh", "en"}
    assert 0.5 < measures.characters_per_token["zh"] < measures.characters_per_token["en"] < 6
    assert measures.bytes_per_token["zh"] > 2 * measures.characters_per_token["zh"]
    english_bytes = measures.bytes_per_token["en"] / measures.characters_per_token["en"]
    assert 1.0 <= english_bytes < 1.05
    ids = [one for _, text in texts for one in forms().encode([text])[0][:-1].tolist()]
    assert measures.used_ids == len(set(ids))
    assert measures.byte_fallback == 0.0
    all_bytes = measure(replace(forms(), is_byte=np.ones(1024, np.bool_)), texts)
    assert all_bytes.byte_fallback == 1.0


def test_forms_that_disagree_are_an_error() -> None:
    other = replace(forms(), huggingface=convert(model(reserved=6)))
    with pytest.raises(TokenizerMismatch, match="other ids"):
        measure(other, [("en", english(16)[5]["text"])])


def test_text_that_does_not_come_back_is_counted() -> None:
    other = replace(forms(), decode=lambda ids: "something else")
    text = english(16)[5]["text"]
    measures = measure(other, [("en", text), ("en", "something else")])
    assert (measures.changed, measures.example) == (0.5, text[:80])


def test_the_configuration_keeps_special_tokens_out_of_text() -> None:
    assert configuration()["split_special_tokens"] is True
    assert configuration()["eos_token"] == "</s>"
    assert json.loads(convert(model()).to_str())["model"]["type"] == "BPE"
