"""What deduplication drops, against the exact Jaccard similarity of all pairs."""

import random
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from batches import points_of
from pretrain_api.v1alpha1.pipeline.deduplication import Deduplication
from pretrain_workloads.data.dedup.bands import banding
from pretrain_workloads.data.dedup.clusters import Deduplicator
from pretrain_workloads.data.dedup.minhash import NGRAM, signatures
from pretrain_workloads.data.dedup.pairs import find_edges
from pretrain_workloads.data.dedup.signature_files import SignatureFiles, signature_writer
from pretrain_workloads.data.dedup.table import DocumentTable
from pretrain_workloads.data.dedup.thresholds import Thresholds
from pretrain_workloads.data.files import PipelineFiles
from pretrain_workloads.storage import open_uri

ERROR = 0.15
"""Four standard errors of an estimated similarity of 0.8."""


def deduplicated(folder: Path, texts: list[str], similarity: float) -> list[int]:
    """Return for each of `texts`, all different, which text it is dropped for, or itself."""
    spec = Deduplication.model_validate({"near": {"similarity": similarity}})
    assert spec.near is not None
    storage, names = open_uri(f"file://{folder}"), PipelineFiles(1)
    hashes = np.array([xxhash.xxh3_64_intdigest(text.encode()) for text in texts], np.uint64)
    lengths = np.array([len(text) for text in texts], np.float64)
    with signature_writer(storage, names, 0, banding(spec)) as writer:
        writer.add(signatures(*points_of(texts)), hashes, lengths)
    with ExitStack() as stack:
        files = SignatureFiles(storage, names, [len(texts)], stack)
        edges, _ = find_edges(files, banding(spec), 0, 1)
    size = len(texts)
    numbers, codes = np.arange(size, dtype=np.uint32), np.zeros(size, np.uint8)
    scores = lengths.astype(np.float32)
    table = DocumentTable(numbers, scores, scores, np.zeros(size, np.bool_), codes)
    deduplicator = Deduplicator(table, edges, Thresholds(spec.near, banding(spec).floor))
    kept: list[int] = deduplicator.clusters(similarity).decisions["kept"].tolist()
    return kept


def jaccard(left: str, right: str) -> float:
    a, b = (
        {tuple(words[i : i + NGRAM]) for i in range(max(1, len(words) - NGRAM + 1))}
        for words in (left.split(), right.split())
    )
    return len(a & b) / len(a | b)


def corpus(rng: random.Random) -> list[str]:
    """Return texts of very different similarity, none twice."""
    texts: list[str] = []
    for _ in range(8):
        words = [f"w{rng.randrange(10**6)}" for _ in range(rng.randint(40, 90))]
        for _ in range(rng.randint(1, 7)):
            texts.append(" ".join(words))
            for _ in range(rng.randint(1, 12)):
                words[rng.randrange(len(words))] = f"w{rng.randrange(10**6)}"
    return list(dict.fromkeys(texts))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.sampled_from([0.5, 0.7, 0.8, 0.9]))
def test_every_dropped_document_is_like_one_that_stays(
    tmp_path_factory: pytest.TempPathFactory, seed: int, similarity: float
) -> None:
    texts = corpus(random.Random(seed))
    kept = deduplicated(tmp_path_factory.mktemp("corpus"), texts, similarity)
    for number, other in enumerate(kept):
        assert kept[other] == other
        assert jaccard(texts[number], texts[other]) > similarity - ERROR
    stay = sorted(set(kept))
    alike = [
        (a, b)
        for position, a in enumerate(stay)
        for b in stay[position + 1 :]
        if jaccard(texts[a], texts[b]) > similarity + ERROR
    ]
    assert not alike


def test_texts_that_differ_in_digits_only_all_stay(tmp_path: Path) -> None:
    sums = [f"{a} + {b} = {a + b} is what the sum comes to." for a in range(32) for b in range(32)]
    assert deduplicated(tmp_path, sums, 0.8) == list(range(len(sums)))


def test_no_chain_of_small_changes_drops_a_document_unlike_all_that_stay(tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(700)]
    texts = [" ".join(words[start : start + 100]) for start in range(0, 600, 5)]
    kept = deduplicated(tmp_path, texts, 0.8)
    assert 10 < len(set(kept)) < len(texts)
    assert min(jaccard(texts[n], texts[other]) for n, other in enumerate(kept)) > 0.65
