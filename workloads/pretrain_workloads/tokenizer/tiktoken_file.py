"""Read a `*.tiktoken` file: lines of a token's bytes, in base64, and its rank, which is its id."""

import base64
import binascii
from itertools import pairwise

from tokenizers import Tokenizer, decoders, models

from pretrain_workloads.failures import UserError
from pretrain_workloads.tokenizer.byte_level import byte_letters, pre_tokenizer


def read_tiktoken(content: bytes, uri: str, split_digits: bool) -> Tokenizer:
    """Return the Hugging Face form, of the same ids.

    Args:
        content: Content of the file.
        uri: Its place, for messages.
        split_digits: Whether every digit is split off, else groups of up to three.

    Raises:
        UserError: If it is no such file.
    """
    ranks = _ranks(content, uri)
    letters = byte_letters()

    def written(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    # A token is made of the two parts that are merged last among tokens of lower ranks.
    merges = [
        (written(parts[0]), written(parts[1]))
        for token, rank in ranks.items()
        if len(parts := _parts(token, ranks, rank)) == 2
    ]
    vocabulary = {written(token): rank for token, rank in ranks.items()}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizer(split_digits)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _ranks(content: bytes, uri: str) -> dict[bytes, int]:
    """Return the rank of each token, in their order."""
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error) as error:
            raise UserError(
                f"{uri}: line {number} is not a token in base64 and its rank; use a file in "
                "tiktoken's form"
            ) from error
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing or sorted(ranks.values()) != list(range(len(ranks))):
        raise UserError(
            f"{uri}: has {len(ranks)} tokens, lacks {len(missing)} of the 256 bytes, and its ranks "
            "must be 0, 1, 2, …; use the whole file"
        )
    return dict(sorted(ranks.items(), key=lambda item: item[1]))


def _parts(token: bytes, ranks: dict[bytes, int], below: int) -> list[bytes]:
    """Return what merges of ranks lower than `below` make of the bytes of `token`."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 1:
        pairs = [ranks.get(a + b, below) for a, b in pairwise(parts)]
        place = min(range(len(pairs)), key=pairs.__getitem__)
        if pairs[place] >= below:
            break
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts
