"""Ids that every tokenizer of ours has, and what is left for pieces."""

from pretrain_api.v1alpha1.tokenizer import TokenizerSpec
from pretrain_workloads.failures import UserError

UNKNOWN, BEGIN, END = 0, 1, 2
"""Ids of `<unk>` (never produced: there are bytes), `<s>` and `</s>`, which ends every document."""

BYTES = 256
"""Pieces `<0x00>` … `<0xFF>`."""

SPACE = "\u2581"
"""How SentencePiece writes a space."""

LAYOUT = ("\n", "\n\n", "\t", "\t\t", "\t\t\t", *(SPACE * width for width in range(2, 17)))
"""Pieces for line ends and indentation. They are always there, and never part of another piece:
so code keeps its layout at one id for each line's indentation."""

_FEWEST_PIECES = 100
"""Pieces that must be left to learn."""


def reserved_tokens(count: int) -> list[str]:
    """Return the spare ids' pieces; no text is ever encoded as one."""
    return [f"<reserved_{number}>" for number in range(count)]


def room(spec: TokenizerSpec) -> int:
    """Return how many pieces can be learnt.

    Raises:
        UserError: If that is too few.
    """
    fixed = 3 + spec.reserved_tokens + len(LAYOUT) + BYTES
    left = spec.vocabulary_size - fixed
    if left < _FEWEST_PIECES:
        raise UserError(
            f"spec.vocabularySize: {spec.vocabulary_size} leaves {max(0, left)} pieces to learn "
            f"beside {fixed} fixed ones ({BYTES} bytes, {spec.reserved_tokens} reserved, "
            f"{3 + len(LAYOUT)} others); use {fixed + _FEWEST_PIECES} or more, or reserve fewer"
        )
    return left
