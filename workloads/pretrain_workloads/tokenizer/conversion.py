"""Convert a SentencePiece model to a Hugging Face tokenizer that gives the same ids."""

from collections.abc import Collection
from typing import Any

import sentencepiece
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

from pretrain_workloads.tokenizer.vocabulary import (
    BEGIN,
    END,
    SPACE,
    SPECIAL,
    UNKNOWN,
    WHITESPACE,
)


def convert(model: bytes, business_tokens: Collection[str] = ()) -> Tokenizer:
    """Return the Hugging Face form of a SentencePiece `model`.

    Args:
        model: The SentencePiece model.
        business_tokens: Pieces that are never part of another one, beside those for white space.
    """
    fixed = {*WHITESPACE, *business_tokens}
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    size = processor.vocab_size()
    pieces = [processor.id_to_piece(number) for number in range(size)]
    learned = {
        piece: number
        for number, piece in enumerate(pieces)
        if _is_text(processor, number) and piece not in fixed
    }
    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: number for number, piece in enumerate(pieces)},
            merges=merges(learned),
            unk_token=pieces[UNKNOWN],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    # SentencePiece first splits text at these.
    # `normalized`: they are matched after spaces are replaced, as in SentencePiece.
    own = [piece for piece in pieces if piece in fixed]
    tokenizer.add_tokens([AddedToken(p, normalized=True, special=False) for p in own])
    tokenizer.add_special_tokens(
        [AddedToken(piece, normalized=False, special=True) for piece in SPECIAL]
    )
    return tokenizer


def _is_text(processor: Any, number: int) -> bool:
    """Return whether a piece is text, not a control, unknown or byte piece."""
    return not (
        processor.is_control(number) or processor.is_unknown(number) or processor.is_byte(number)
    )


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


def configuration(
    begin: str | None = SPECIAL[BEGIN],
    end: str = SPECIAL[END],
    unknown: str | None = SPECIAL[UNKNOWN],
) -> dict[str, Any]:
    """Return `tokenizer_config.json`, with the tokens for the start and the end of a document.

    With `split_special_tokens`, the text `</s>` in a document does not become the end token.
    """
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": unknown,
        "bos_token": begin,
        "eos_token": end,
        "add_bos_token": False,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,
        "model_max_length": 1 << 30,
    }
