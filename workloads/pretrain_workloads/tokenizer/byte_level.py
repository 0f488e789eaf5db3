"""Train a byte-level BPE tokenizer: its pieces are bytes, so no text lacks one.

Text is first split as that of current models is: contractions, words with one leading space or
symbol, digits, runs of symbols, line ends. The two patterns are those of Qwen2 (every digit alone)
and of Llama 3 (up to three digits), which fast encoders know.
"""

import json
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from pretrain_api.v1alpha1.tokenizer import TokenizerSpec
from pretrain_workloads.failures import UserError
from pretrain_workloads.tokenizer.vocabulary import SPECIAL, learnable_pieces, reserved_tokens

_DIGITS = {True: r"\p{N}", False: r"\p{N}{1,3}"}

_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|DIGITS| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_PIECE_BYTES = 64
"""Bytes of the longest piece: a run of symbols or of Chinese has no other limit."""

_PART_CHARACTERS = 1000
"""Longer texts are cut for training: its time grows with the square of a word's length, and a
megabyte without a space is one word."""


def train_byte_level(spec: TokenizerSpec, texts: Iterable[str]) -> Tokenizer:
    """Return a tokenizer trained on `texts`.

    Its ids: `<unk>`, `<s>`, `</s>`, reserved tokens, business tokens, 256 bytes, learnt pieces.

    Raises:
        UserError: If the vocabulary is too small for its fixed pieces, or too large for the text.
    """
    learnable_pieces(spec)
    special = [*SPECIAL, *reserved_tokens(spec.reserved_tokens)]
    business = list(dict.fromkeys(spec.business_tokens))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer(spec.split_digits)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        _parts(texts),
        trainers.BpeTrainer(
            vocab_size=spec.vocabulary_size,
            special_tokens=[*special, *business],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            max_token_length=_PIECE_BYTES,
            show_progress=False,
        ),
    )
    found = tokenizer.get_vocab_size()
    if found < spec.vocabulary_size:
        raise UserError(
            f"spec.vocabularySize: {spec.vocabulary_size} is too large for the sample, of which "
            f"only {found} pieces can be learnt; use {found} or less, or more text"
        )
    return _with_added(tokenizer, special, business)


def pre_tokenizer(split_digits: bool) -> pre_tokenizers.PreTokenizer:
    """Return what splits text before it is encoded, and writes its bytes as letters."""
    pattern = _PATTERN.replace("DIGITS", _DIGITS[split_digits])
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def byte_letters() -> list[str]:
    """Return the letter by which byte-level tokenizers write each byte.

    Visible characters of Latin-1 are written as they are, the others as those from U+0100 on.
    Source: GPT-2.
    """
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in visible else next(others)) for byte in range(256)]


def _parts(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for start in range(0, len(text), _PART_CHARACTERS):
            yield text[start : start + _PART_CHARACTERS]


def _with_added(tokenizer: Tokenizer, special: list[str], business: list[str]) -> Tokenizer:
    """Return `tokenizer` with business tokens as text, not as special tokens like the trainer."""
    described = json.loads(tokenizer.to_str())
    described["added_tokens"] = []
    made = Tokenizer.from_str(json.dumps(described))
    made.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in special])
    made.add_tokens([AddedToken(t, normalized=False, special=False) for t in business])
    return made


def byte_pieces(tokenizer: Tokenizer) -> npt.NDArray[np.bool_]:
    """Return for each id whether it is one byte of a character that has several."""
    plain = {chr(point) for point in range(0x21, 0x7F)} | {"Ġ", "Ċ", "ĉ"}
    alphabet = set(pre_tokenizers.ByteLevel.alphabet()) - plain
    vocabulary = tokenizer.get_vocab()
    found = np.zeros(1 + max(vocabulary.values()), np.bool_)  # ids may have gaps
    for piece, number in vocabulary.items():
        found[number] = piece in alphabet
    return found
