"""The bytes of text that each id stands for: they make losses of other tokenizers comparable."""

import json
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_api.v1alpha1.tokenizer import TokenizerSummary
from pretrain_workloads.storage import Folder
from pretrain_workloads.tokenizer.byte_level import byte_letters
from pretrain_workloads.tokenizer.encoder import SENTENCEPIECE
from pretrain_workloads.tokenizer.files import HUGGING_FACE, MODEL
from pretrain_workloads.tokenizer.vocabulary import SPACE

_BYTE = re.compile("<0x[0-9A-F]{2}>")
"""A piece that is one byte."""


def piece_bytes(folder: Folder, summary: TokenizerSummary) -> npt.NDArray[np.int64]:
    """Return the bytes of UTF-8 text that each id of the tokenizer in `folder` stands for.

    Special tokens stand for none.
    """
    if summary.encoder == SENTENCEPIECE:
        return sentencepiece_bytes(folder.read_bytes(MODEL))
    return huggingface_bytes(folder.read_bytes(HUGGING_FACE))


def sentencepiece_bytes(model: bytes) -> npt.NDArray[np.int64]:
    """Return the bytes of each id of a SentencePiece model."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    sizes = np.zeros(processor.vocab_size(), np.int64)
    for number in range(len(sizes)):
        if processor.is_byte(number):
            sizes[number] = 1
        elif not (processor.is_control(number) or processor.is_unknown(number)):
            sizes[number] = len(processor.id_to_piece(number).replace(SPACE, " ").encode())
    return sizes


def huggingface_bytes(content: bytes) -> npt.NDArray[np.int64]:
    """Return the bytes of each id of a Hugging Face tokenizer, from its `tokenizer.json`."""
    described = json.loads(content)
    vocabulary = _vocabulary(described)
    if is_byte_level(described):
        sizes = {number: len(piece) for piece, number in vocabulary.items()}
    else:
        sizes = {number: _size(piece) for piece, number in vocabulary.items()}
    for added in described["added_tokens"]:
        sizes[added["id"]] = 0 if added["special"] else len(added["content"].encode())
    table = np.zeros(max(sizes) + 1, np.int64)
    table[list(sizes)] = list(sizes.values())
    return table


def piece_texts(content: str) -> dict[int, str]:
    """Return the text of each id that is not special, from `tokenizer.json`.

    Bytes that are no whole character are shown as U+FFFD.
    """
    described = json.loads(content)
    vocabulary = _vocabulary(described)
    if is_byte_level(described):
        of_letter = {letter: byte for byte, letter in enumerate(byte_letters())}
        texts = {
            number: bytes(of_letter[c] for c in piece if c in of_letter).decode(errors="replace")
            for piece, number in vocabulary.items()
        }
    else:
        texts = {number: piece.replace(SPACE, " ") for piece, number in vocabulary.items()}
    for added in described["added_tokens"]:
        texts[added["id"]] = "" if added["special"] else added["content"]
    return texts


def is_byte_level(described: dict[str, Any]) -> bool:
    """Return whether a `tokenizer.json` writes the bytes of text as letters."""
    decoder = described["decoder"] or {}
    return any(part["type"] == "ByteLevel" for part in decoder.get("decoders", [decoder]) if part)


def _vocabulary(described: dict[str, Any]) -> dict[str, int]:
    """Return the id of each piece: unigram models list pieces with scores in place of ids."""
    vocabulary = described["model"]["vocab"]
    if isinstance(vocabulary, list):
        return {piece: number for number, (piece, _) in enumerate(vocabulary)}
    return dict(vocabulary)


def _size(piece: str) -> int:
    return 1 if _BYTE.fullmatch(piece) else len(piece.replace(SPACE, " ").encode())
