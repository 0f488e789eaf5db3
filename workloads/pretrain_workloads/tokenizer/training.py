"""Train the SentencePiece model."""

import io
import re
from collections.abc import Iterable, Iterator

import numpy as np
import sentencepiece

from pretrain_api.v1alpha1.tokenizer import TokenizerSpec
from pretrain_workloads.failures import UserError
from pretrain_workloads.tokenizer.vocabulary import (
    BEGIN,
    END,
    UNKNOWN,
    WHITESPACE,
    learnable_pieces,
    reserved_tokens,
)

_LINE_CHARACTERS = 1000
"""Longest line for training; longer ones are cut."""

_COVERAGE = 0.9995
"""Share of the characters of the sample that pieces cover, if the vocabulary is large enough."""

_CHARACTER_SHARE = 0.5
"""Share of the learned pieces that may be single characters; rarer ones are encoded as bytes."""

_THREADS = 4
"""Threads of the trainer. Fixed, so that nothing can depend on the machine."""

_TOO_LARGE = re.compile(r"set it to a value <= ?(\d+)")


def train(spec: TokenizerSpec, lines: list[str]) -> bytes:
    """Return a SentencePiece model trained on `lines`.

    Raises:
        UserError: If the vocabulary is too small for its fixed pieces, or too large for the text.
    """
    pieces = learnable_pieces(spec)
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(without_rare_characters(lines, int(pieces * _CHARACTER_SHARE))),
            model_writer=model,
            model_type="bpe",
            vocab_size=spec.vocabulary_size,
            character_coverage=1.0,  # of what `without_rare_characters` leaves
            byte_fallback=True,
            split_digits=spec.split_digits,
            # Lossless: text is not normalised, no space is added, none is removed.
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            unk_id=UNKNOWN,
            bos_id=BEGIN,
            eos_id=END,
            pad_id=-1,
            control_symbols=reserved_tokens(spec.reserved_tokens),
            user_defined_symbols=[*WHITESPACE, *dict.fromkeys(spec.business_tokens)],
            max_sentence_length=4 * _LINE_CHARACTERS + 1,
            num_threads=_THREADS,
            minloglevel=2,
        )
    except RuntimeError as error:
        too_large = _TOO_LARGE.search(str(error))
        if too_large is None:
            raise
        raise UserError(
            f"spec.vocabularySize: {spec.vocabulary_size} is too large for the "
            f"{sum(map(len, lines)):,} characters of the sample; use {too_large[1]} or less, "
            "or more text"
        ) from error
    return model.getvalue()


def without_rare_characters(lines: list[str], max_characters: int) -> list[str]:
    """Split `lines` at rare characters, so that at most `max_characters` distinct ones remain.

    SentencePiece makes a piece of nearly every character in its input, whatever the size of the
    vocabulary: without this, the many rare characters of Chinese would displace words.
    """
    counts = np.zeros(0x110000, np.int64)
    for start in range(0, len(lines), 10_000):
        joined = "".join(lines[start : start + 10_000]).encode("utf-32-le")
        counts += np.bincount(np.frombuffer(joined, np.uint32), minlength=0x110000)
    frequent = np.argsort(-counts, kind="stable")[: int((counts > 0).sum())]
    covered = np.cumsum(counts[frequent])
    enough = int(np.searchsorted(covered, _COVERAGE * covered[-1])) + 1 if len(covered) else 0
    rare = frequent[min(max_characters, enough) :].tolist()
    if not rare:
        return lines
    cut = re.compile("[" + "".join(re.escape(chr(point)) for point in rare) + "]")
    return [part for line in lines for part in cut.split(line) if part]


def training_lines(texts: Iterable[str]) -> Iterator[str]:
    """Yield the lines of `texts`, for training: no piece crosses a line end."""
    for text in texts:
        for line in text.split("\n"):
            for start in range(0, len(line), _LINE_CHARACTERS):
                yield line[start : start + _LINE_CHARACTERS]
