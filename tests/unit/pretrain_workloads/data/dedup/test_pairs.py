import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from batches import points_of
from pretrain_api.v1alpha1.pipeline.deduplication import NearDeduplication
from pretrain_workloads.data.dedup.minhash import signatures
from pretrain_workloads.data.dedup.pairs import SignatureFiles, find_edges


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 6), st.integers(0, 2**32))
def test_the_number_of_tasks_does_not_change_the_pairs(tasks: int, seed: int) -> None:
    rng = random.Random(seed)
    base = [[f"{rng.choice('abcdefgh')}{rng.choice('xyz')}" for _ in range(60)] for _ in range(6)]
    documents = []
    for words in base:
        for _ in range(3):
            changed = list(words)
            for _ in range(rng.randint(0, 3)):
                changed[rng.randrange(60)] = "new"
            documents.append(" ".join(changed))
    all_rows = signatures(*points_of(documents))
    near = NearDeduplication(similarity=0.6)
    whole, _ = find_edges(SignatureFiles([all_rows]), near, 0, 1)
    cut = SignatureFiles(np.array_split(all_rows, tasks))
    parts = [find_edges(cut, near, rank, tasks)[0] for rank in range(tasks)]
    assert (np.unique(np.concatenate(parts)) == np.unique(whole)).all()
    assert len(whole)
