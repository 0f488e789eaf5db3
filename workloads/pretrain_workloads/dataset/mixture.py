"""Plan the token stream: which documents, how many tokens of each, in which order. Pure functions.

Each part of the mixture gets its share of the stream, exact to the token. It passes through its
documents, in an order that seed, part and epoch determine, until its share is full. The uses of all
parts are then interleaved, so that every section of the stream has the shares of the mixture.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

USE = np.dtype(
    [("document", np.int64), ("part", np.int32), ("epoch", np.int32), ("tokens", np.int64)]
)
"""One use of a document: its first `tokens` ids, the last of which ends the document."""

type Numbers = npt.NDArray[np.int64]
"""Numbers of documents, or one number for each document."""

type Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Part:
    """A part of the mixture."""

    documents: Numbers
    """Numbers of its documents."""

    weight: float


def budgets(weights: list[float], total: int) -> list[int]:
    """Divide `total` tokens in proportion to `weights`, exactly (largest remainders)."""
    exact = [weight / sum(weights) * total for weight in weights]
    floors = [int(value) for value in exact]
    left = total - sum(floors)
    order = sorted(range(len(weights)), key=lambda i: (floors[i] - exact[i], i))
    for index in order[:left]:
        floors[index] += 1
    return floors


def mix(hashes: Hashes, salt: int) -> Hashes:
    """Return new hashes of the same documents; each salt gives another order.

    Source: the finaliser of SplitMix64 (Steele, Lea and Flood 2014). Unlike the shuffles of numpy,
    it does not change with the version.
    """
    with np.errstate(over="ignore"):
        x = hashes ^ (
            np.uint64(salt) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x632BE59BD9B4E019)
        )
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def plan_uses(
    parts: list[Part], lengths: Numbers, hashes: Hashes, total: int, seed: int
) -> npt.NDArray[Any]:
    """Return the uses (`USE`) of a stream of exactly `total` tokens, in order.

    Args:
        parts: The mixture; each part has at least one document.
        lengths: Tokens of each document.
        hashes: Hash of the text of each document.
        total: Tokens of the stream.
        seed: Each seed gives another order.
    """
    shares = budgets([part.weight for part in parts], total)
    uses, positions = [], []
    for number, (part, budget) in enumerate(zip(parts, shares, strict=True)):
        of_part = _uses_of_part(number, part, lengths, hashes, budget, seed)
        before = np.cumsum(of_part["tokens"]) - of_part["tokens"]
        uses.append(of_part)
        positions.append((before + of_part["tokens"] / 2) / max(1, budget))
    joined = np.concatenate(uses)
    order = np.lexsort((joined["part"], np.concatenate(positions)))
    ordered: npt.NDArray[Any] = joined[order]
    return ordered


def _uses_of_part(
    number: int, part: Part, lengths: Numbers, hashes: Hashes, budget: int, seed: int
) -> npt.NDArray[Any]:
    unique = int(lengths[part.documents].sum())
    epochs = -(-budget // unique)
    uses = np.empty(epochs * len(part.documents), USE)
    uses["part"] = number
    for epoch in range(epochs):
        rows = slice(epoch * len(part.documents), (epoch + 1) * len(part.documents))
        salted = mix(mix(hashes[part.documents], seed), 1_000_003 * number + epoch)
        order = np.lexsort((part.documents, salted))
        uses["document"][rows] = part.documents[order]
        uses["epoch"][rows] = epoch
    uses["tokens"] = lengths[uses["document"]]
    before = np.cumsum(uses["tokens"]) - uses["tokens"]
    uses = uses[before < budget]
    if len(uses):  # the last document is cut to fit the budget
        uses["tokens"][-1] = budget - before[len(uses) - 1]
    chosen: npt.NDArray[Any] = uses
    return chosen
