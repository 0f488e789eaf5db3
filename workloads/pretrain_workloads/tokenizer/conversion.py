"""The SentencePiece model as a Hugging Face tokenizer with the same ids for the same text."""

from typing import Any

import sentencepiece
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

from pretrain_workloads.tokenizer.vocabulary import BEGIN, END, LAYOUT, SPACE, UNKNOWN

_SPECIAL = ("<unk>", "<s>", "</s>")

_NEVER = -10_000.0
"""Score of what no text may become: control pieces, and bytes as text."""


def convert(model: bytes) -> Tokenizer:
    """Return the Hugging Face tokenizer of a SentencePiece `model`."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    size = processor.vocab_size()
    pieces = [processor.id_to_piece(number) for number in range(size)]
    learnt = {
        piece: number
        for number, piece in enumerate(pieces)
        if _is_text(processor, number) and not _is_layout(processor, number)
    }
    tokenizer = Tokenizer(_model(processor, pieces, learnt))
    tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    if not _is_unigram(processor, learnt):
        # SentencePiece cuts text at them first (in a unigram model they are pieces like others).
        # `normalized`: they are looked for after spaces were replaced, as SentencePiece does.
        layout = [pieces[number] for number in range(size) if _is_layout(processor, number)]
        tokenizer.add_tokens([AddedToken(p, normalized=True, special=False) for p in layout])
    tokenizer.add_special_tokens(
        [AddedToken(piece, normalized=False, special=True) for piece in _SPECIAL]
    )
    return tokenizer


def _is_text(processor: Any, number: int) -> bool:
    """Return whether a piece stands for its own text."""
    return not (
        processor.is_control(number) or processor.is_unknown(number) or processor.is_byte(number)
    )


def _is_layout(processor: Any, number: int) -> bool:
    """Return whether a piece is one of `LAYOUT`."""
    return _is_text(processor, number) and processor.id_to_piece(number) in LAYOUT


def _model(processor: Any, pieces: list[str], learnt: dict[str, int]) -> Any:
    if _is_unigram(processor, learnt):
        scores = [
            (piece, processor.get_score(number) if _is_text(processor, number) else _NEVER)
            for number, piece in enumerate(pieces)
        ]
        return models.Unigram(scores, unk_id=UNKNOWN, byte_fallback=True)
    return models.BPE(
        vocab={piece: number for number, piece in enumerate(pieces)},
        merges=merges(learnt),
        unk_token=pieces[UNKNOWN],
        fuse_unk=True,
        byte_fallback=True,
    )


def _is_unigram(processor: Any, learnt: dict[str, int]) -> bool:
    """Return whether scores are log-probabilities: those of BPE are ranks, whole numbers."""
    return any(not float(processor.get_score(number)).is_integer() for number in learnt.values())


def merges(learnt: dict[str, int]) -> list[tuple[str, str]]:
    """Return the merge rules of BPE pieces, the first learnt first.

    SentencePiece merges any two neighbours whose concatenation is a piece, the first learnt piece
    first; so each way to cut a piece into two pieces is a rule of the piece's rank.
    """
    rules = []
    for piece in sorted(learnt, key=learnt.__getitem__):
        rules += [
            (piece[:cut], piece[cut:])
            for cut in range(1, len(piece))
            if piece[:cut] in learnt and piece[cut:] in learnt
        ]
    return rules


def configuration() -> dict[str, Any]:
    """Return `tokenizer_config.json`.

    `split_special_tokens`: the text `</s>` in a document is text, not the end of the document.
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
