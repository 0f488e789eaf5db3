"""Draw documents to learn from and others to measure on, by hash: the same for any cut."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from pretrain_api.v1alpha1.tokenizer import TokenizerCorpus
from pretrain_workloads.data.documents import document_shards
from pretrain_workloads.data.shards import row_groups
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder

_HELD_OUT = 50
"""One of so many documents is for measuring, never for learning."""

_MEASURED_BYTES = 300_000
"""Text of a language that is measured."""

UNUSED, LEARN, MEASURE = 0, 1, 2


@dataclass(frozen=True)
class Drawing:
    """What each document is used for, in the order of the index."""

    uses: npt.NDArray[np.int8]
    """`UNUSED`, `LEARN` or `MEASURE`."""

    bytes: int
    """Text to learn from."""


def shares(corpus: TokenizerCorpus, languages: list[str]) -> dict[str, float]:
    """Return the share of the sample for each language.

    Raises:
        UserError: If a weighted language has no documents, or no language has weight.
    """
    weights = corpus.language_weights or dict.fromkeys(languages, 1.0)
    absent = sorted(name for name, weight in weights.items() if weight and name not in languages)
    if absent or not any(weights.values()):
        raise UserError(
            f"spec.corpus.languageWeights: {', '.join(absent) or 'all are 0'}: the documents are "
            f"in {', '.join(sorted(languages))}; give weights to these"
        )
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items() if weight}


def draw(index: pa.Table, corpus: TokenizerCorpus) -> Drawing:
    """Choose documents of `index` (columns id, language and bytes).

    Raises:
        UserError: If the weights fit no documents.
    """
    languages = np.asarray(index["language"].to_pylist(), dtype=object)
    sizes = index["bytes"].to_numpy()
    hashes = np.fromiter(
        (xxhash.xxh3_64_intdigest(name.encode()) for name in index["id"].to_pylist()),
        np.uint64,
        index.num_rows,
    )
    uses = np.zeros(index.num_rows, np.int8)
    wanted = shares(corpus, sorted(set(languages.tolist())))
    for language, share in wanted.items():
        here = np.flatnonzero(languages == language)
        here = here[np.argsort(hashes[here], kind="stable")]
        held_out = hashes[here] % np.uint64(_HELD_OUT) == 0
        learn, measure = here[~held_out], here[held_out]
        if not len(learn) or not len(measure):  # too few documents to hold any out
            learn, measure = here, here
        uses[_first(measure, sizes, _MEASURED_BYTES)] |= MEASURE
        uses[_first(learn, sizes, int(corpus.sample_bytes * share))] |= LEARN
    return Drawing(uses, int(sizes[(uses & LEARN) > 0].sum()))


def _first(
    order: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], budget: int
) -> npt.NDArray[np.int64]:
    """Return the first documents of `order` that fill `budget` bytes, at least one."""
    before = np.cumsum(sizes[order]) - sizes[order]
    return order[before < max(1, budget)]


def texts(documents: Folder, uses: npt.NDArray[np.int8], use: int) -> Iterator[tuple[str, str]]:
    """Yield (language, text) of the documents drawn for `use`."""
    start = 0
    for path in document_shards(documents):
        for group in row_groups(documents, path):
            wanted = (uses[start : start + group.num_rows] & use) > 0
            start += group.num_rows
            if wanted.any():
                chosen = group.select(["language", "text"]).filter(pa.array(wanted))
                yield from zip(*chosen.to_pydict().values(), strict=True)
