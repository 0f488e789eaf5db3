"""The fixed pieces of every vocabulary, and the number of pieces left to learn."""

from pretrain_api.v1alpha1.tokenizer import TokenizerSpec
from pretrain_workloads.failures import UserError

UNKNOWN, BEGIN, END = 0, 1, 2
"""Ids of `<unk>` (byte pieces make it unused), `<s>` and `</s>`, which ends every document."""

SPECIAL = ("<unk>", "<s>", "</s>")
"""The pieces of these ids."""

BYTES = 256
"""Number of byte pieces, `<0x00>` … `<0xFF>`."""

SPACE = "\u2581"
"""The character by which SentencePiece represents a space."""

WHITESPACE = ("\n", "\n\n", "\t", "\t\t", "\t\t\t", *(SPACE * width for width in range(2, 17)))
"""Pieces for line ends and indentation. Every vocabulary has them, and they are never part of
another piece: the indentation of a line of code is one id."""

_MIN_LEARNED = 100
"""Fewest pieces that must be left to learn."""


def reserved_tokens(count: int) -> list[str]:
    """Return the pieces of spare ids; no text is encoded as one."""
    return [f"<reserved_{number}>" for number in range(count)]


def learnable_pieces(spec: TokenizerSpec) -> int:
    """Return the number of pieces that are left to learn.

    Raises:
        UserError: If it is too small.
    """
    business = len(set(spec.business_tokens))
    others = len(SPECIAL) + (len(WHITESPACE) if spec.algorithm == "bpe" else 0)
    fixed = others + spec.reserved_tokens + business + BYTES
    left = spec.vocabulary_size - fixed
    if left < _MIN_LEARNED:
        raise UserError(
            f"spec.vocabularySize: {spec.vocabulary_size} leaves {max(0, left)} pieces to learn "
            f"beside {fixed} fixed ones ({BYTES} bytes, {spec.reserved_tokens} reserved, "
            f"{business} business tokens, {others} others); use "
            f"{fixed + _MIN_LEARNED} or more, or reserve fewer"
        )
    return left
