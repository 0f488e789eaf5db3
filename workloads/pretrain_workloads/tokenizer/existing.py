"""An existing tokenizer: its ids stay as they are, tokens are added behind them."""

import json
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Tokenizer

from pretrain_api.v1alpha1.tokenizer import ExistingTokenizer, TokenizerSpec
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder, open_location
from pretrain_workloads.tokenizer.byte_level import byte_pieces
from pretrain_workloads.tokenizer.encoder import fastest_encoder
from pretrain_workloads.tokenizer.files import CONFIGURATION, HUGGING_FACE
from pretrain_workloads.tokenizer.piece_bytes import is_byte_level, piece_texts
from pretrain_workloads.tokenizer.tiktoken_file import read_tiktoken
from pretrain_workloads.tokenizer.trained_tokenizer import TrainedTokenizer

_FIELD = "spec.existing"

_BROKEN = "\ufffd"
"""Stands for bytes that are no whole character."""

_SHOWN = 5
"""Names that a message lists at most."""


def existing_tokenizer(
    spec: TokenizerSpec, existing: ExistingTokenizer, evaluation: list[str]
) -> TrainedTokenizer:
    """Return the tokenizer at the place that the spec names, with the business tokens.

    Args:
        spec: The spec.
        existing: Its field `existing`.
        evaluation: Texts on which the fast encoder must agree with the reference to be used.

    Raises:
        UserError: If it cannot be read, has no token for the end of documents, has more ids than
            the spec, or a business token makes one of its tokens unreachable.
    """
    folder = open_location(existing)
    tokenizer, configured = _read(spec, existing, folder)
    end = _end(tokenizer, existing, configured.get("eos_token"), folder)
    _add(tokenizer, spec.business_tokens)
    size = 1 + max(tokenizer.get_vocab().values())
    if size > spec.vocabulary_size:
        raise UserError(
            f"spec.vocabularySize: {spec.vocabulary_size} is less than the {size} ids of the "
            f"tokenizer in {existing.uri}; use {size} or more"
        )
    content = tokenizer.to_str(pretty=True)
    business = [*spec.business_tokens, " ".join(spec.business_tokens)]
    encode, encoder = fastest_encoder(content, end, [*business, *evaluation])
    begin = configured.get("bos_token")
    return TrainedTokenizer(
        encode=encode,
        encoder=encoder,
        decode=partial(tokenizer.decode, skip_special_tokens=False),
        huggingface=tokenizer,
        is_byte=_bytes(tokenizer, size),
        files={HUGGING_FACE: content.encode()},
        end=end,
        begin=tokenizer.token_to_id(begin) if begin else None,
    )


def _read(
    spec: TokenizerSpec, existing: ExistingTokenizer, folder: Folder
) -> tuple[Tokenizer, dict[str, str]]:
    """Return the tokenizer and the special tokens that its configuration names."""
    names = [file.path for file in folder.find() if "/" not in file.path]
    if HUGGING_FACE in names:
        tokenizer = _load(folder.read_bytes(HUGGING_FACE), folder.uri_of(HUGGING_FACE))
        return tokenizer, _configured(folder) if CONFIGURATION in names else {}
    ranks = [name for name in names if name.endswith(".tiktoken")]
    if len(ranks) != 1:
        raise UserError(
            f"{_FIELD}.uri: {existing.uri} holds neither {HUGGING_FACE} nor one *.tiktoken file "
            f"({', '.join(names[:_SHOWN]) or 'it is empty'}); a SentencePiece model becomes "
            f"{HUGGING_FACE} by save_pretrained of its Hugging Face tokenizer"
        )
    if existing.end_of_document is None:
        raise UserError(
            f"{_FIELD}.endOfDocument: is missing; a *.tiktoken file has no special tokens, so name "
            "the one that ends documents, such as <|endoftext|>"
        )
    tokenizer = read_tiktoken(
        folder.read_bytes(ranks[0]), folder.uri_of(ranks[0]), spec.split_digits
    )
    if tokenizer.token_to_id(existing.end_of_document) is not None:
        raise UserError(
            f"{_FIELD}.endOfDocument: {existing.end_of_document} is a token of text in "
            f"{folder.uri_of(ranks[0])}; name one that it does not have, such as <|endoftext|>"
        )
    tokenizer.add_special_tokens(
        [AddedToken(existing.end_of_document, normalized=False, special=True)]
    )
    tokenizer.encode_special_tokens = True
    return tokenizer, {}


def _load(content: bytes, uri: str) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_str(content.decode())
    except Exception as error:  # the library has no class of its own
        raise UserError(f"{uri}: cannot be loaded: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def _configured(folder: Folder) -> dict[str, str]:
    """Return the names of the special tokens in `tokenizer_config.json`."""
    try:
        described: Any = folder.read_json(CONFIGURATION)
        found = {name: described.get(name) for name in ("bos_token", "eos_token")}
    except (ValueError, AttributeError) as error:
        raise UserError(f"{folder.uri_of(CONFIGURATION)}: is no JSON object: {error}") from error
    texts = {name: t.get("content") if isinstance(t, dict) else t for name, t in found.items()}
    return {name: text for name, text in texts.items() if isinstance(text, str)}


def _end(
    tokenizer: Tokenizer, existing: ExistingTokenizer, configured: str | None, folder: Folder
) -> int:
    """Return the id that ends a document: it must be a special token, that no text becomes."""
    special = {
        token.content: number
        for number, token in tokenizer.get_added_tokens_decoder().items()
        if token.special
    }
    name = existing.end_of_document or configured
    if name in special:
        return int(special[name])
    found = f"is no special token of {folder.uri_of(HUGGING_FACE)}" if name else "is missing"
    known = ", ".join(list(special)[:_SHOWN]) or "none"
    raise UserError(
        f"{_FIELD}.endOfDocument: {name + ' ' if name else ''}{found}; use one of those that it "
        f"has: {known}"
    )


def _add(tokenizer: Tokenizer, business: list[str]) -> None:
    """Add the business tokens.

    Text is split at added tokens before it is encoded: a token that holds one within it would never
    be used again, and what the model learnt of it is lost. Tokens that end within a character are
    not checked: they are steps to longer ones.

    Raises:
        UserError: If one is a special token, or part of an existing token that is not a business
            token too, or is not given back by decoding.
    """
    wanted = set(business)
    special = {t.content for t in tokenizer.get_added_tokens_decoder().values() if t.special}
    if taken := sorted(wanted & special):
        raise UserError(
            f"spec.businessTokens: {', '.join(taken[:_SHOWN])}: special tokens of the existing "
            "tokenizer, which no text becomes; leave them out"
        )
    lost = [
        f"{text!r} holds {inner!r}"
        for text in piece_texts(tokenizer.to_str()).values()
        if text not in wanted and _BROKEN not in text and (inner := _held(text, wanted))
    ]
    if lost:
        more = f", and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
        raise UserError(
            f"spec.businessTokens: {len(lost)} tokens of the existing tokenizer would never be "
            f"used again, as text is split at business tokens first: {', '.join(lost[:_SHOWN])}"
            f"{more}; leave these business tokens out, or name the longer tokens too"
        )
    tokenizer.add_tokens(
        [AddedToken(t, normalized=False, special=False) for t in dict.fromkeys(business)]
    )
    tokenizer.encode_special_tokens = True
    changed = [text for text in sorted(wanted) if _decoded(tokenizer, text) != text]
    if changed:
        raise UserError(
            f"spec.businessTokens: {', '.join(changed[:_SHOWN])}: the existing tokenizer does not "
            "give them back, as it takes their letters for bytes or changes them; leave them out"
        )


def _decoded(tokenizer: Tokenizer, text: str) -> str:
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return str(tokenizer.decode(ids, skip_special_tokens=False))


def _held(text: str, wanted: set[str]) -> str | None:
    """Return a wanted token that is a part of `text`."""
    if not wanted:
        return None
    parts = (text[i:j] for i in range(len(text)) for j in range(i + 2, len(text) + 1))
    return next((part for part in parts if part in wanted), None)


def _bytes(tokenizer: Tokenizer, size: int) -> npt.NDArray[np.bool_]:
    """Return for each id whether it is one byte of a character that has several."""
    if is_byte_level(json.loads(tokenizer.to_str())):
        return byte_pieces(tokenizer)
    found = np.zeros(size, np.bool_)
    for byte in range(256):
        number = tokenizer.token_to_id(f"<0x{byte:02X}>")
        if number is not None:
            found[number] = True
    return found
