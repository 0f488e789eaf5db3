"""Sample documents for training and others for evaluation, by hash of their ids."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pretrain_api.v1alpha1.tokenizer import TokenizerCorpus
from pretrain_workloads.data.documents import document_shards, id_hashes
from pretrain_workloads.data.shards import row_groups
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder

_EVALUATION_INTERVAL = 50
"""One document in so many is for evaluation, never for training."""

_EVALUATION_BYTES = 300_000
"""Text of each language for evaluation."""

UNUSED, TRAIN, EVALUATE = 0, 1, 2
"""What a document is used for; `TRAIN | EVALUATE` only where there are too few documents."""


@dataclass(frozen=True)
class DocumentSample:
    """The documents for training and for evaluation."""

    uses: npt.NDArray[np.int8]
    """What each document is used for, in the order of the index."""

    train_bytes: int
    """Text for training."""


def shares(corpus: TokenizerCorpus, languages: list[str]) -> dict[str, float]:
    """Return the share of each language in the sample.

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


def draw_sample(index: pa.Table, corpus: TokenizerCorpus) -> DocumentSample:
    """Sample documents of `index`, a table of id, language and bytes.

    Raises:
        UserError: If a weighted language has no documents, or no language has weight.
    """
    languages = np.asarray(index["language"].to_pylist(), dtype=object)
    sizes = index["bytes"].to_numpy()
    hashes = id_hashes(index)
    uses = np.zeros(index.num_rows, np.int8)
    for language, share in shares(corpus, sorted(set(languages.tolist()))).items():
        numbers = np.flatnonzero(languages == language)
        numbers = numbers[np.argsort(hashes[numbers], kind="stable")]
        held_out = hashes[numbers] % np.uint64(_EVALUATION_INTERVAL) == 0
        train, evaluate = numbers[~held_out], numbers[held_out]
        if not len(train) or not len(evaluate):  # too few documents to hold any out
            train, evaluate = numbers, numbers
        uses[_first(evaluate, sizes, _EVALUATION_BYTES)] |= EVALUATE
        uses[_first(train, sizes, int(corpus.sample_bytes * share))] |= TRAIN
    return DocumentSample(uses, int(sizes[(uses & TRAIN) > 0].sum()))


def _first(
    order: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], budget: int
) -> npt.NDArray[np.int64]:
    """Return the first documents of `order` up to `budget` bytes, at least one."""
    before = np.cumsum(sizes[order]) - sizes[order]
    return order[before < max(1, budget)]


def texts(documents: Folder, uses: npt.NDArray[np.int8], use: int) -> Iterator[tuple[str, str]]:
    """Yield (language, text) of the documents for `use`."""
    start = 0
    for path in document_shards(documents):
        for group in row_groups(documents, path):
            selected = (uses[start : start + group.num_rows] & use) > 0
            start += group.num_rows
            if selected.any():
                rows = group.select(["language", "text"]).filter(pa.array(selected))
                yield from zip(*rows.to_pydict().values(), strict=True)
