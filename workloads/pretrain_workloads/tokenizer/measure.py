"""Measure a tokenizer on text that it was not trained on, and check that it is lossless."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from pretrain_workloads.tokenizer.trained_tokenizer import TrainedTokenizer
from pretrain_workloads.tokenizer.vocabulary import SPACE


@dataclass(frozen=True)
class TokenizerMeasures:
    """The measures of a tokenizer."""

    characters_per_token: dict[str, float]
    """By language."""

    byte_fallback: float
    """Share of tokens that are byte pieces."""

    changed: float
    """Share of texts that decoding gives back with changes."""

    example: str
    """Start of one of them."""


class TokenizerMismatch(RuntimeError):
    """The ids of the two forms differ: a bug of ours, not an error of the user."""


def measure(tokenizer: TrainedTokenizer, texts: Iterable[tuple[str, str]]) -> TokenizerMeasures:
    """Return the measures over `texts`, pairs of language and text.

    Raises:
        TokenizerMismatch: If the Hugging Face form gives other ids.
    """
    characters: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    in_bytes: defaultdict[str, int] = defaultdict(int)
    changed: list[str] = []
    count = 0
    for language, text in texts:
        ids = tokenizer.encode([text])[0][:-1].tolist()
        count += 1
        if tokenizer.huggingface.encode(text, add_special_tokens=False).ids != ids:
            raise TokenizerMismatch(
                f"the Hugging Face tokenizer gives other ids for {text[:80]!r}…"
            )
        if SPACE not in text and tokenizer.decode(ids) != text:
            changed.append(text[:80])
        characters[language] += len(text)
        tokens[language] += len(ids)
        in_bytes[language] += int(tokenizer.is_byte[ids].sum()) if ids else 0
    return TokenizerMeasures(
        {name: round(characters[name] / max(1, tokens[name]), 4) for name in sorted(characters)},
        round(sum(in_bytes.values()) / max(1, tokens.total()), 6),
        round(len(changed) / max(1, count), 6),
        changed[0] if changed else "",
    )
