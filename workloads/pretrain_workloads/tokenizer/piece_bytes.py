"""The bytes of text that each id stands for: they make losses of other tokenizers comparable."""

import json

import numpy as np
import numpy.typing as npt

from pretrain_api.v1alpha1.tokenizer import TokenizerSummary
from pretrain_workloads.storage import Folder
from pretrain_workloads.tokenizer.encoder import SENTENCEPIECE
from pretrain_workloads.tokenizer.files import HUGGING_FACE, MODEL
from pretrain_workloads.tokenizer.vocabulary import SPACE


def piece_bytes(folder: Folder, summary: TokenizerSummary) -> npt.NDArray[np.int64]:
    """Return the bytes of UTF-8 text that each id of the tokenizer in `folder` stands for.

    Special tokens stand for none.
    """
    if summary.encoder == SENTENCEPIECE:
        return sentencepiece_bytes(folder.read_bytes(MODEL))
    return byte_level_bytes(folder.read_bytes(HUGGING_FACE))


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


def byte_level_bytes(content: bytes) -> npt.NDArray[np.int64]:
    """Return the bytes of each id of a byte-level tokenizer, from its `tokenizer.json`."""
    described = json.loads(content)
    # One character of a piece is one byte; added tokens are written as text.
    sizes = {number: len(piece) for piece, number in described["model"]["vocab"].items()}
    for added in described["added_tokens"]:
        sizes[added["id"]] = 0 if added["special"] else len(added["content"].encode())
    table = np.zeros(max(sizes) + 1, np.int64)
    table[list(sizes)] = list(sizes.values())
    return table
