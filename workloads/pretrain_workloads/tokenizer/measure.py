"""What a tokenizer is worth, on text that it did not learn from, and that it loses nothing."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sentencepiece

from pretrain_workloads.tokenizer.vocabulary import SPACE


@dataclass(frozen=True)
class Measures:
    """What was measured."""

    characters_per_token: dict[str, float]
    """By language."""

    byte_fallback: float
    """Share of tokens that are single bytes."""


class NotEqual(RuntimeError):
    """A tokenizer lost text, or its two forms disagree: our bug, never the user's."""


def measure(model: bytes, huggingface: Any, texts: Iterable[tuple[str, str]]) -> Measures:
    """Return the measures over `texts`, (language, text) pairs.

    Raises:
        NotEqual: If a text does not come back, or the Hugging Face form gives other ids.
    """
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    size = processor.vocab_size()
    is_byte = np.fromiter(map(processor.is_byte, range(size)), np.bool_, size)
    characters: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    in_bytes: defaultdict[str, int] = defaultdict(int)
    huggingface.encode_special_tokens = True
    for language, text in texts:
        ids = processor.encode(text)
        _check(processor, huggingface, text, ids)
        characters[language] += len(text)
        tokens[language] += len(ids)
        in_bytes[language] += int(is_byte[ids].sum()) if ids else 0
    return Measures(
        {name: round(characters[name] / max(1, tokens[name]), 4) for name in sorted(characters)},
        round(sum(in_bytes.values()) / max(1, tokens.total()), 6),
    )


def _check(processor: Any, huggingface: Any, text: str, ids: list[int]) -> None:
    if SPACE not in text and processor.decode(ids) != text:
        raise NotEqual(f"the tokenizer does not give back {text[:80]!r}…")
    if huggingface.encode(text, add_special_tokens=False).ids != ids:
        raise NotEqual(f"the Hugging Face tokenizer gives other ids for {text[:80]!r}…")
