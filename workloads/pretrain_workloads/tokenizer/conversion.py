"""Convert a SentencePiece model to a Hugging Face tokenizer that gives the same ids."""

from typing import Any

import sentencepiece
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

from pretrain_workloads.tokenizer.vocabulary import BEGIN, END, SPACE, UNKNOWN, WHITESPACE

_SPECIAL = ("<unk>", "<s>", "</s>")

_NEVER = -10_000.0
"""Score of pieces that no text may be encoded as: control pieces, and byte pieces as text."""

_BONUS_PER_BYTE, _PENALTY_PER_PIECE = 0.1, 0.1
"""What user-defined pieces score in a unigram model (SentencePiece 0.2.3), whatever the model says.

Longer runs of spaces than the longest piece have several splits of equal score. There SentencePiece
chooses by its rounding, so the ids of the two forms may differ; the text they stand for does not.
"""


def convert(model: bytes) -> Tokenizer:
    """Return the Hugging Face form of a SentencePiece `model`."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    size = processor.vocab_size()
    pieces = [processor.id_to_piece(number) for number in range(size)]
    learned = {
        piece: number
        for number, piece in enumerate(pieces)
        if _is_text(processor, number) and not _is_whitespace(processor, number)
    }
    tokenizer = Tokenizer(_model(processor, pieces, learned))
    tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    if not _is_unigram(processor, learned):
        # SentencePiece first splits text at these (in a unigram model they are ordinary pieces).
        # `normalized`: they are matched after spaces are replaced, as in SentencePiece.
        whitespace = [pieces[number] for number in range(size) if _is_whitespace(processor, number)]
        tokenizer.add_tokens([AddedToken(p, normalized=True, special=False) for p in whitespace])
    tokenizer.add_special_tokens(
        [AddedToken(piece, normalized=False, special=True) for piece in _SPECIAL]
    )
    return tokenizer


def _is_text(processor: Any, number: int) -> bool:
    """Return whether a piece is text, not a control, unknown or byte piece."""
    return not (
        processor.is_control(number) or processor.is_unknown(number) or processor.is_byte(number)
    )


def _is_whitespace(processor: Any, number: int) -> bool:
    """Return whether a piece is one of `WHITESPACE`."""
    return _is_text(processor, number) and processor.id_to_piece(number) in WHITESPACE


def _model(processor: Any, pieces: list[str], learned: dict[str, int]) -> Any:
    if _is_unigram(processor, learned):
        scores = [(piece, _score(processor, number)) for number, piece in enumerate(pieces)]
        return models.Unigram(scores, unk_id=UNKNOWN, byte_fallback=True)
    return models.BPE(
        vocab={piece: number for number, piece in enumerate(pieces)},
        merges=merges(learned),
        unk_token=pieces[UNKNOWN],
        fuse_unk=True,
        byte_fallback=True,
    )


def _score(processor: Any, number: int) -> float:
    """Return the score by which a unigram model prefers a piece."""
    if not _is_text(processor, number):
        return _NEVER
    if _is_whitespace(processor, number):
        size = len(processor.id_to_piece(number).encode())
        return size * _BONUS_PER_BYTE - _PENALTY_PER_PIECE
    score: float = processor.get_score(number)
    return score


def _is_unigram(processor: Any, learned: dict[str, int]) -> bool:
    """Return whether scores are log-probabilities; the scores of BPE are ranks, whole numbers."""
    return any(not float(processor.get_score(number)).is_integer() for number in learned.values())


def merges(learned: dict[str, int]) -> list[tuple[str, str]]:
    """Return the merge rules of BPE pieces, by rank.

    SentencePiece merges two neighbours if their concatenation is a piece, the piece of lowest rank
    first. So each way to split a piece into two pieces is a rule with the rank of the piece.
    """
    rules = []
    for piece in sorted(learned, key=learned.__getitem__):
        rules += [
            (piece[:cut], piece[cut:])
            for cut in range(1, len(piece))
            if piece[:cut] in learned and piece[cut:] in learned
        ]
    return rules


def configuration() -> dict[str, Any]:
    """Return `tokenizer_config.json`.

    With `split_special_tokens`, the text `</s>` in a document does not become the end token.
    """
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": _SPECIAL[UNKNOWN],
        "bos_token": _SPECIAL[BEGIN],
        "eos_token": _SPECIAL[END],
        "add_bos_token": False,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,
        "model_max_length": 1 << 30,
    }
