"""Plan the token stream: which documents, how many tokens of each, in which order. Pure functions.

Each part of the mixture gets its share of the stream, exact to the token. It passes through its
documents, in an order that seed, part and epoch determine, until its share is full. The uses of all
parts are then interleaved, so that every section of the stream has the shares of the mixture.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pretrain_api.v1alpha1.tokendataset import Curriculum

QUALITY = "quality"
"""Column of the documents with their quality."""

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

    places: npt.NDArray[np.float64] | None = None
    """Place of each of its documents in the order of a pass, 0 to 1. `None` means random."""

    randomness: float = 1.0
    """How far chance moves a document from its place."""


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


@dataclass(frozen=True)
class Pace:
    """How a part's share of the stream grows: linear between the points."""

    stream: list[float]
    """Tokens of the whole stream at each point, ascending."""

    part: list[float]
    """Tokens of the part until then, ascending."""

    def positions(self, shares: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return where in the stream the part has given these shares of its tokens; all 0 to 1."""
        return np.interp(shares * self.part[-1], self.part, self.stream) / self.stream[-1]


def paces(parts: list[Part], unique: list[int], total: int, weight_per_use: float) -> list[Pace]:
    """Return how each part's share of a stream of `total` tokens grows.

    Every pass of a part through its documents multiplies its weight by `weight_per_use`, so that
    parts with text that is still new take its place.

    Args:
        parts: The mixture.
        unique: Tokens of the documents of each part.
        total: Tokens of the stream.
        weight_per_use: Above 0 and at most 1.
    """
    found = [Pace([0.0], [0.0]) for _ in parts]
    passes, at = [0] * len(parts), 0.0
    while at < total:
        fewest = min(passes)  # only the differences count, and powers would become zero
        weights = [
            part.weight * weight_per_use ** (done - fewest)
            for part, done in zip(parts, passes, strict=True)
        ]
        rates = [weight / sum(weights) for weight in weights]
        until = [
            (size * (done + 1) - pace.part[-1]) / rate
            for size, done, pace, rate in zip(unique, passes, found, rates, strict=True)
        ]
        step = min(*until, total - at)
        at = total if step == total - at else at + step
        for number, pace in enumerate(found):
            ends = until[number] == step
            passes[number] += ends
            given = pace.part[-1] + rates[number] * step
            pace.part.append(float(unique[number] * passes[number]) if ends else given)
            pace.stream.append(at)
    return found


def places_of(
    curriculum: Curriculum, documents: pa.Table, of_part: Numbers
) -> npt.NDArray[np.float64] | None:
    """Return the place of each document of a part in its order, from 0 to 1; equal values share it.

    Args:
        curriculum: The order.
        documents: The tokenized documents (`tokenize.DOCUMENTS`).
        of_part: Numbers of the part's documents.

    Returns:
        The places, or `None` if a document has no quality.
    """
    column = QUALITY if curriculum.by == "quality" else "tokens"
    values = documents[column].to_numpy()[of_part].astype(np.float64)
    if np.isnan(values).any():
        return None
    if curriculum.order == "descending":
        values = -values
    _, ranks = np.unique(values, return_inverse=True)
    places: npt.NDArray[np.float64] = ranks / max(1, int(ranks.max(initial=0)))
    return places


def plan_uses(
    parts: list[Part],
    lengths: Numbers,
    hashes: Hashes,
    total: int,
    seed: int,
    weight_per_use: float = 1.0,
) -> npt.NDArray[Any]:
    """Return the uses (`USE`) of a stream of exactly `total` tokens, in order.

    Args:
        parts: The mixture; each part has at least one document.
        lengths: Tokens of each document.
        hashes: Hash of the text of each document.
        total: Tokens of the stream.
        seed: Each seed gives another order.
        weight_per_use: What each pass of a part multiplies its weight by (`paces`).
    """
    weights, slowed = [part.weight for part in parts], []
    if weight_per_use < 1.0:
        unique = [int(lengths[part.documents].sum()) for part in parts]
        slowed = paces(parts, unique, total, weight_per_use)
        weights = [pace.part[-1] for pace in slowed]
    uses, positions = [], []
    for number, (part, budget) in enumerate(zip(parts, budgets(weights, total), strict=True)):
        of_part = _uses_of_part(number, part, lengths, hashes, budget, seed)
        before = np.cumsum(of_part["tokens"]) - of_part["tokens"]
        uses.append(of_part)
        middle = (before + of_part["tokens"] / 2) / max(1, budget)
        positions.append(slowed[number].positions(middle) if slowed else middle)
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
        order = np.lexsort((part.documents, _keys(part, salted)))
        uses["document"][rows] = part.documents[order]
        uses["epoch"][rows] = epoch
    uses["tokens"] = lengths[uses["document"]]
    before = np.cumsum(uses["tokens"]) - uses["tokens"]
    uses = uses[before < budget]
    if len(uses):  # the last document is cut to fit the budget
        uses["tokens"][-1] = budget - before[len(uses) - 1]
    chosen: npt.NDArray[Any] = uses
    return chosen


def _keys(part: Part, random: Hashes) -> Hashes | npt.NDArray[np.float64]:
    """Return what the documents of a pass are sorted by."""
    if part.places is None:
        return random
    chance = random.astype(np.float64) / 2.0**64
    return part.places * (1.0 - part.randomness) + chance * part.randomness
