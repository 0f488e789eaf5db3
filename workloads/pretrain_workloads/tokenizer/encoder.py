"""Encode texts for training: every document gets its end id, and special-token text stays text."""

import json
import logging
from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_api.v1alpha1.tokenizer import TokenizerSummary
from pretrain_workloads.storage import Folder
from pretrain_workloads.tokenizer.files import HUGGING_FACE, MODEL

log = logging.getLogger(__name__)

type Ids = npt.NDArray[np.int64]

type EncodedTexts = tuple[Ids, Ids]
"""The ids of all texts, one after the other, and the number of ids of each, with its end id."""

type Encoder = Callable[[list[str]], EncodedTexts]

SENTENCEPIECE, TOKENIZERS, GIGATOKEN = "sentencepiece", "tokenizers", "gigatoken"
"""Packages that encode; a byte-level tokenizer uses gigatoken if that was shown to give the same
ids as tokenizers when it was built."""


_PROBES = [
    "</s><s><unk><reserved_0> <|endoftext|>",
    "a\n\n\n  b\t\tc\r\n  \u3000d\u00a0e",
    "I'll they'RE don't 12345 1,234.5 ١٢٣ ½",
    "床前明月光，疑是地上霜。😀👩\u200d👩\u200d👧 e\u0301 \U0010ffff \x00\x7f",
    "",
    " ",
    "=====----///***\\n\\t" * 9,
]
"""Texts that encoders are most likely to split differently."""


def open_encoder(folder: Folder, summary: TokenizerSummary) -> Encoder:
    """Return the encoder of the tokenizer in `folder`."""
    if summary.encoder == SENTENCEPIECE:
        return sentencepiece_encoder(folder.read_bytes(MODEL))
    content, end = folder.read_bytes(HUGGING_FACE).decode(), summary.end_of_document
    if summary.encoder == GIGATOKEN:
        return gigatoken_encoder(content, end)
    return tokenizers_encoder(content, end)


def fastest_encoder(content: str, end: int, texts: list[str]) -> tuple[Encoder, str]:
    """Return the fastest encoder that gives the ids of `tokenizers` for `texts`, and its name.

    Args:
        content: Content of `tokenizer.json`.
        end: Id that ends a document.
        texts: Texts on which both encoders are tried, beside those of `_PROBES`.
    """
    reference = tokenizers_encoder(content, end)
    try:
        fast = gigatoken_encoder(content, end)
        agrees = same_ids(fast, reference, [*_PROBES, *texts])
    except Exception:  # the package has no class for a form of tokenizer that it does not know
        log.info("gigatoken cannot encode by this tokenizer", exc_info=True)
        agrees = False
    return (fast, GIGATOKEN) if agrees else (reference, TOKENIZERS)


def sentencepiece_encoder(model: bytes) -> Encoder:
    """Return an encoder by a SentencePiece model."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=model)

    def encode(texts: list[str]) -> EncodedTexts:
        return _joined(processor.encode(texts, add_eos=True, num_threads=1))

    return encode


def tokenizers_encoder(content: str, end: int) -> Encoder:
    """Return an encoder by the package `tokenizers`.

    Args:
        content: Content of `tokenizer.json`.
        end: Id that ends a document.
    """
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_str(content)
    tokenizer.encode_special_tokens = True

    def encode(texts: list[str]) -> EncodedTexts:
        found = (tokenizer.encode(text, add_special_tokens=False).ids for text in texts)
        return _joined([[*ids, end] for ids in found])

    return encode


def gigatoken_encoder(content: str, end: int) -> Encoder:
    """Return an encoder by the package `gigatoken`, of the same ids, many times as fast.

    Args:
        content: Content of `tokenizer.json`.
        end: Id that ends a document.
    """
    import gigatoken

    tokenizer = gigatoken.Tokenizer.from_json(_without_special(content))

    def encode(texts: list[str]) -> EncodedTexts:
        rows = tokenizer.encode_batch(texts, parallel=False).layout
        starts = np.asarray(rows.offsets, np.int64)
        content = np.asarray(rows.content.data[starts[0] : starts[-1]], np.int64)
        return np.insert(content, starts[1:] - starts[0], end), np.diff(starts) + 1

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
