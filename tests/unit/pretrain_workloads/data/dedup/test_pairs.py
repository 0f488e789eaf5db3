import random
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from batches import points_of
from pretrain_api.v1alpha1.pipeline.deduplication import Deduplication
from pretrain_workloads.data.dedup.bands import Banding, banding
from pretrain_workloads.data.dedup.groups import candidate_pairs, unpack
from pretrain_workloads.data.dedup.minhash import signatures
from pretrain_workloads.data.dedup.pairs import find_edges, units_of_work
from pretrain_workloads.data.dedup.signature_files import SignatureFiles, signature_writer
from pretrain_workloads.data.files import PipelineFiles
from pretrain_workloads.storage import open_uri


def found(folder: Path, texts: list[str], tasks: int, banding: Banding) -> Any:
    """Return the edges that `tasks` tasks find, each of which also wrote a part of the texts."""
    storage, names = open_uri(f"file://{folder}"), PipelineFiles(tasks)
    parts = [texts[len(texts) * r // tasks : len(texts) * (r + 1) // tasks] for r in range(tasks)]
    for rank, part in enumerate(parts):
        hashes = np.array([xxhash.xxh3_64_intdigest(text.encode()) for text in part], np.uint64)
        scores = np.array([len(text) for text in part], np.float64)
        with signature_writer(storage, names, rank, banding) as writer:
            for start in range(0, len(part), 3):
                rows = signatures(*points_of(part[start : start + 3]))
                writer.add(rows, hashes[start : start + 3], scores[start : start + 3])
    with ExitStack() as stack:
        files = SignatureFiles(storage, names, [len(part) for part in parts], stack)
        edges = [find_edges(files, banding, rank, tasks)[0] for rank in range(tasks)]
    return np.sort(np.concatenate(edges), order="pair")


def near_duplicates(rng: random.Random) -> list[str]:
    texts = []
    for _ in range(6):
        base = [f"{rng.choice('abcdefgh')}{rng.choice('xyz')}" for _ in range(60)]
        for _ in range(3):
            changed = list(base)
            for _ in range(rng.randint(0, 3)):
                changed[rng.randrange(60)] = "new"
            texts.append(" ".join(changed))
    return texts


@settings(deadline=None, max_examples=12)
@given(tasks=st.sampled_from([2, 3, 30]), seed=st.integers(0, 2**32))
def test_the_number_of_tasks_does_not_change_the_pairs(
    tmp_path_factory: pytest.TempPathFactory, tasks: int, seed: int
) -> None:
    texts = near_duplicates(random.Random(seed))
    spec = banding(Deduplication.model_validate({"near": {"similarity": 0.6}}))
    whole = found(tmp_path_factory.mktemp("one"), texts, 1, spec)
    parts = found(tmp_path_factory.mktemp("many"), texts, tasks, spec)
    assert len(whole)
    assert (whole == parts).all()
    assert len(np.unique(parts["pair"])) == len(parts), "no pair is found twice"


def test_every_task_has_work_however_many_there_are() -> None:
    spec = Banding(bands=18, rows=6, floor=0.7)
    for tasks in (1, 5, 18, 19, 100):
        units = [units_of_work(spec, rank, tasks) for rank in range(tasks)]
        assert all(units)
        assert len({unit for part in units for unit in part}) == sum(map(len, units))


def test_exact_copies_are_in_no_pair(tmp_path: Path) -> None:
    texts = ["the same text in many copies, all of them equal"] * 50 + ["another text altogether"]
    assert not len(found(tmp_path, texts, 2, Banding(18, 6, 0.7)))


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=60
    )
)
def test_candidates_connect_all_different_texts_of_a_key_with_the_best(
    rows: list[tuple[int, int, int]],
) -> None:
    keys, hashes, scores = (np.array(column) for column in zip(*rows, strict=True))
    pairs = candidate_pairs(keys.astype(np.uint64), hashes.astype(np.uint64), scores.astype(float))
    got = set(zip(*(side.tolist() for side in unpack(pairs)), strict=True))
    for key in set(keys.tolist()) - {0}:
        first: dict[int, int] = {}
        for number in np.flatnonzero(keys == key).tolist():
            first.setdefault(int(hashes[number]), number)
        best = min(first.values(), key=lambda number: (-scores[number], number))
        for number in first.values():
            assert number == best or (min(number, best), max(number, best)) in got
    for a, b in got:
        assert keys[a] == keys[b] != 0
        assert hashes[a] != hashes[b]


def test_a_million_pages_of_one_template_give_few_pairs_each() -> None:
    size = 100_000
    same = np.ones(size, np.uint64)
    pairs = candidate_pairs(same, np.arange(size, dtype=np.uint64), np.zeros(size))
    assert len(pairs) < 10 * size
