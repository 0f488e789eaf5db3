"""An existing tokenizer keeps its ids, and what cannot be used is refused with what would do."""

import base64
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from data_runs import tokenizer_spec
from pretrain_api.v1alpha1.tokenizer import TokenizerSpec
from pretrain_workloads.failures import UserError
from pretrain_workloads.tokenizer.encoder import GIGATOKEN
from pretrain_workloads.tokenizer.existing import existing_tokenizer
from pretrain_workloads.tokenizer.measure import measure
from pretrain_workloads.tokenizer.piece_bytes import huggingface_bytes
from pretrain_workloads.tokenizer.trained_tokenizer import TrainedTokenizer

TEXTS = ["中华人民共和国成立了。", "the cat sat 1234 times\n\n", "e\u0301té <|end|> </s> 😀"]
WORDS = ["中", "华", "人", "民", "中华", "人民", "中华人民", "the", " the", "cat", " c", "12", "34"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PRETRAIN_ROOT", str(tmp_path))
    place = tmp_path / "theirs"
    place.mkdir()
    return place


def ranks() -> dict[bytes, int]:
    """Return the bytes, and merges that lead to WORDS, each after its parts."""
    tokens = [bytes([byte]) for byte in range(256)]
    for word in WORDS:
        whole = word.encode()
        tokens += [whole[:end] for end in range(2, len(whole) + 1) if whole[:end] not in tokens]
    return {token: rank for rank, token in enumerate(tokens)}


def write_tiktoken(folder: Path) -> None:
    lines = [base64.b64encode(token) + b" %d" % rank for token, rank in ranks().items()]
    (folder / "own.tiktoken").write_bytes(b"\n".join(lines) + b"\n")


def byte_level(normalizer: Any = None) -> Tokenizer:
    """Return a tokenizer whose first id ends documents."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<|end|>": 0, "<|start|>": 1} | {c: n + 2 for n, c in enumerate(letters)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [AddedToken(t, normalized=False, special=True) for t in ("<|end|>", "<|start|>")]
    tokenizer.add_special_tokens(special)
    return tokenizer


def write_huggingface(folder: Path, tokenizer: Tokenizer, **configured: Any) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(configured), encoding="utf-8")


def read(end: str | None = None, **changes: Any) -> TrainedTokenizer:
    existing: dict[str, Any] = {"uri": "file:///pretrain/theirs"}
    existing |= {"endOfDocument": end} if end else {}
    value = tokenizer_spec("file:///pretrain/data") | {"existing": existing} | changes
    spec = TokenizerSpec.model_validate(value)
    assert spec.existing is not None
    return existing_tokenizer(spec, spec.existing, TEXTS)


def test_the_ids_are_those_of_the_tokenizer_and_its_own_end(folder: Path) -> None:
    theirs = byte_level()
    theirs.enable_truncation(4)
    theirs.enable_padding()
    eos, bos = {"content": "<|end|>", "lstrip": False}, "<|start|>"
    write_huggingface(folder, theirs, eos_token=eos, bos_token=bos)
    tokenizer = read()
    assert (tokenizer.begin, tokenizer.end) == (1, 0)
    ids, lengths = tokenizer.encode(TEXTS)
    rows = np.split(ids, np.cumsum(lengths)[:-1])
    letters = theirs.get_vocab()
    sizes = huggingface_bytes(tokenizer.files["tokenizer.json"])
    for text, row in zip(TEXTS, rows, strict=True):
        assert row[-1] == 0
        assert not {0, 1} & set(row[:-1].tolist()), "text became a special token"
        assert len(row) == len(text.encode()) + 1, "neither cut nor filled up"
        assert sizes[row].sum() == len(text.encode())
        assert letters["Ġ"] in row or " " not in text
    assert measure(tokenizer, [("und", text) for text in TEXTS]).changed == 0.0


def test_text_that_is_normalised_is_counted(folder: Path) -> None:
    write_huggingface(folder, byte_level(normalizers.NFC()), eos_token="<|end|>")
    tokenizer = read()
    measures = measure(tokenizer, [("und", text) for text in TEXTS])
    assert measures.changed == pytest.approx(1 / 3, abs=1e-6)
    assert measures.example == TEXTS[2]


@settings(max_examples=100, deadline=None)
@given(
    text=st.lists(st.sampled_from([*WORDS, *TEXTS, "x", " ", "5"]), max_size=12).map("".join)
    | st.text(max_size=40)
)
def test_a_tiktoken_file_merges_the_pair_of_lowest_rank_first(text: str) -> None:
    tokenizer = of_tiktoken()
    ids, _ = tokenizer.encode([text])
    assert tokenizer.decode(ids[:-1].tolist()) == text
    own = ranks()
    pieces = tokenizer.huggingface.pre_tokenizer.pre_tokenize_str(text)
    spans = [text[start:end] for _, (start, end) in pieces]
    assert ids[:-1].tolist() == [rank for span in spans for rank in merged(span.encode(), own)]


def merged(piece: bytes, own: dict[bytes, int]) -> list[int]:
    """Return the ids of a piece by the rule of tiktoken, written plainly."""
    parts = [piece] if piece in own else [bytes([byte]) for byte in piece]
    while True:
        pairs = [(own[a + b], n) for n, (a, b) in enumerate(neighbours(parts)) if a + b in own]
        if not pairs:
            return [own[part] for part in parts]
        _, place = min(pairs)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


def neighbours(parts: list[bytes]) -> list[tuple[bytes, bytes]]:
    return list(pairwise(parts))


_READ: list[TrainedTokenizer] = []


def of_tiktoken() -> TrainedTokenizer:
    return _READ[0]


@pytest.fixture(autouse=True)
def tiktoken(tmp_path_factory: pytest.TempPathFactory) -> None:
    if _READ:
        return
    root = tmp_path_factory.mktemp("root")
    (root / "theirs").mkdir()
    write_tiktoken(root / "theirs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRETRAIN_ROOT", str(root))
        _READ.append(read(end="<|end|>"))


def test_the_end_of_a_tiktoken_file_gets_the_id_after_its_last() -> None:
    assert of_tiktoken().end == len(ranks())
    assert of_tiktoken().begin is None
    assert of_tiktoken().encoder == GIGATOKEN


def test_business_tokens_are_added_behind_the_existing_ids(folder: Path) -> None:
    write_tiktoken(folder)
    tokenizer = read(end="<|end|>", businessTokens=["阿莫西林"])
    number = len(ranks()) + 1
    assert tokenizer.huggingface.token_to_id("阿莫西林") == number
    assert tokenizer.encode(["服阿莫西林x"])[0].tolist().count(number) == 1
    before, after = of_tiktoken().encode(TEXTS), tokenizer.encode(TEXTS)
    assert np.array_equal(before[0], after[0])


def test_a_business_token_within_an_existing_token_is_refused(folder: Path) -> None:
    write_tiktoken(folder)
    with pytest.raises(UserError, match=r"2 tokens of the existing .* '中华人.*' holds '华人'"):
        read(end="<|end|>", businessTokens=["华人", "阿莫西林"])
    # The longer token is taken first where it is named too.
    tokenizer = read(end="<|end|>", businessTokens=["华人", "中华人", "中华人民"])
    assert len(tokenizer.encode(["中华人民"])[0]) == 2


def test_ids_may_have_gaps(folder: Path) -> None:
    described = json.loads(byte_level().to_str())
    described["model"]["vocab"]["far"] = 5000
    write_huggingface(folder, Tokenizer.from_str(json.dumps(described)), eos_token="<|end|>")
    tokenizer = read(vocabularySize=6000)
    assert len(tokenizer.is_byte) == 5001
    assert measure(tokenizer, [("und", text) for text in TEXTS]).changed == 0.0


@pytest.mark.parametrize(
    ("token", "want"),
    [
        (["<|start|>"], r"<\|start\|>: special tokens of the existing tokenizer"),
        (["阿莫西林", "é¡"], r"businessTokens: é¡: the existing tokenizer does not give them back"),
    ],
)
def test_business_tokens_that_text_cannot_hold_are_refused(
    token: list[str], want: str, folder: Path
) -> None:
    write_huggingface(folder, byte_level(), eos_token="<|end|>")
    with pytest.raises(UserError, match=want):
        read(businessTokens=token)


def test_an_end_that_is_text_is_refused(folder: Path) -> None:
    write_tiktoken(folder)
    with pytest.raises(UserError, match=r"endOfDocument: a is a token of text in .*own.tiktoken"):
        read(end="a")


def test_what_cannot_be_used_is_refused_with_what_would_do(folder: Path) -> None:
    with pytest.raises(UserError, match=r"holds neither tokenizer.json nor one .* \(it is empty\)"):
        read()
    (folder / "own.tiktoken").write_text("IQ== 0\nno base64 at all\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"endOfDocument: is missing; a \*.tiktoken file has no"):
        read()
    with pytest.raises(UserError, match=r"own.tiktoken: line 2 is not a token in base64"):
        read(end="<|end|>")
    (folder / "own.tiktoken").write_text("IQ== 0\nIg== 2\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"has 2 tokens, lacks 254 of the 256 bytes"):
        read(end="<|end|>")
    (folder / "tokenizer.json").write_text('{"version": ', encoding="utf-8")
    with pytest.raises(UserError, match=r"theirs/tokenizer.json: cannot be loaded: "):
        read()
    write_huggingface(folder, byte_level())
    with pytest.raises(UserError, match=r"endOfDocument: is missing; use .*: <\|end\|>, <\|start"):
        read()
    with pytest.raises(UserError, match=r"endOfDocument: </s> is no special token of"):
        read(end="</s>")
    (folder / "tokenizer_config.json").write_text("[]", encoding="utf-8")
    with pytest.raises(UserError, match=r"tokenizer_config.json: is no JSON object"):
        read(end="<|end|>")


def test_a_vocabulary_with_fewer_ids_than_the_tokenizer_is_refused(folder: Path) -> None:
    theirs = byte_level()
    theirs.add_tokens([f"word{number}" for number in range(400)])
    write_huggingface(folder, theirs, eos_token="<|end|>")
    with pytest.raises(UserError, match=r"512 is less than the 658 ids .* use 658 or more"):
        read(vocabularySize=512)
    assert read(vocabularySize=700).end == 0
