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

    bytes_per_token: dict[str, float]
    """Bytes of UTF-8, by language."""

    used_ids: int
    """Different ids of all texts."""

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
    sizes: Counter[str] = Counter()
    used: set[int] = set()
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
        sizes[language] += len(text.encode())
        used.update(ids)
        tokens[language] += len(ids)
        in_bytes[language] += int(tokenizer.is_byte[ids].sum()) if ids else 0
    return TokenizerMeasures(
        characters_per_token=_quotients(characters, tokens),
        bytes_per_token=_quotients(sizes, tokens),
        used_ids=len(used),
        byte_fallback=round(sum(in_bytes.values()) / max(1, tokens.total()), 6),
        changed=round(len(changed) / max(1, count), 6),
        example=changed[0] if changed else "",
    )


def _quotients(sums: Counter[str], tokens: Counter[str]) -> dict[str, float]:
    return {name: round(sums[name] / max(1, tokens[name]), 4) for name in sorted(sums)}
