"""Encode texts for training: every document ends with `</s>`, and special-token text stays text."""

import json
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_api.v1alpha1.tokenizer import TokenizerSummary
from pretrain_workloads.storage import Folder
from pretrain_workloads.tokenizer.files import HUGGING_FACE, MODEL
from pretrain_workloads.tokenizer.vocabulary import END

type Ids = npt.NDArray[np.int64]

type EncodedTexts = tuple[Ids, Ids]
"""The ids of all texts, one after the other, and the number of ids of each, `</s>` included."""

type Encoder = Callable[[list[str]], EncodedTexts]

SENTENCEPIECE, TOKENIZERS, GIGATOKEN = "sentencepiece", "tokenizers", "gigatoken"
"""Packages that encode; a byte-level tokenizer uses gigatoken if that was shown to give the same
ids as tokenizers when it was built."""


def open_encoder(folder: Folder, summary: TokenizerSummary) -> Encoder:
    """Return the encoder of the tokenizer in `folder`."""
    if summary.encoder == SENTENCEPIECE:
        return sentencepiece_encoder(folder.read_bytes(MODEL))
    content = folder.read_bytes(HUGGING_FACE).decode()
    return (
        gigatoken_encoder(content) if summary.encoder == GIGATOKEN else tokenizers_encoder(content)
    )


def sentencepiece_encoder(model: bytes) -> Encoder:
    """Return an encoder by a SentencePiece model."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=model)

    def encode(texts: list[str]) -> EncodedTexts:
        return _joined(processor.encode(texts, add_eos=True, num_threads=1))

    return encode


def tokenizers_encoder(content: str) -> Encoder:
    """Return an encoder by the package `tokenizers`.

    Args:
        content: Content of `tokenizer.json`.
    """
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_str(content)
    tokenizer.encode_special_tokens = True

    def encode(texts: list[str]) -> EncodedTexts:
        found = (tokenizer.encode(text, add_special_tokens=False).ids for text in texts)
        return _joined([[*ids, END] for ids in found])

    return encode


def gigatoken_encoder(content: str) -> Encoder:
    """Return an encoder by the package `gigatoken`, of the same ids, many times as fast.

    Args:
        content: Content of `tokenizer.json`.
    """
    import gigatoken

    tokenizer = gigatoken.Tokenizer.from_json(_without_special(content))

    def encode(texts: list[str]) -> EncodedTexts:
        rows = tokenizer.encode_batch(texts, parallel=False).layout
        starts = np.asarray(rows.offsets, np.int64)
        content = np.asarray(rows.content.data[starts[0] : starts[-1]], np.int64)
        return np.insert(content, starts[1:] - starts[0], END), np.diff(starts) + 1

    return encode


def _without_special(content: str) -> str:
    """Return `tokenizer.json` without special tokens: their text is then encoded as text."""
    described = json.loads(content)
    described["added_tokens"] = [t for t in described["added_tokens"] if not t["special"]]
    return json.dumps(described)


def _joined(rows: list[list[int]]) -> EncodedTexts:
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    return np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum())), lengths


def same_ids(one: Encoder, other: Encoder, texts: list[str]) -> bool:
    """Return whether two encoders agree on `texts`."""
    pairs: Any = zip(one(texts), other(texts), strict=True)
    return all(np.array_equal(left, right) for left, right in pairs)
