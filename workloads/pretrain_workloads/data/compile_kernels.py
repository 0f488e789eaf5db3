"""`python -m pretrain_workloads.data.compile_kernels`: compile all kernels, once, for an image.

Pods of a data stage live for seconds; without this each would compile for some.
"""

import numpy as np

from pretrain_workloads.data.decontamination.ngrams import first_hits, make_table, ngram_hashes
from pretrain_workloads.data.dedup.exact import first_copies
from pretrain_workloads.data.dedup.groups import candidate_pairs
from pretrain_workloads.data.dedup.minhash import signatures
from pretrain_workloads.data.dedup.pairs import EDGE, compare
from pretrain_workloads.data.dedup.selection import components, neighbours, select
from pretrain_workloads.data.models.features import SLOTS, linear_scores
from pretrain_workloads.data.models.training import train
from pretrain_workloads.data.rules.characters import character_counts
from pretrain_workloads.data.rules.repetition_kernel import measure
from pretrain_workloads.data.text.code_model import code_scores, features
from pretrain_workloads.data.text.languages import script_counts
from pretrain_workloads.data.text.units import code_points, utf8_offsets

_TEXTS = ["one text\nof two lines", "床前明月光", "one text\nof two lines"]


def compile_kernels() -> None:
    """Call every kernel once, with arrays of the types that stages use."""
    points, offsets = code_points(_TEXTS)
    for kernel in (utf8_offsets, script_counts, code_scores, features, measure, character_counts):
        kernel(points, offsets)
    linear_scores(points, offsets, np.zeros((2, SLOTS), np.float32))
    train(points, offsets, np.arange(len(_TEXTS)) % 2, 2)
    grams, starts = ngram_hashes(points, offsets, 2)
    first_hits(grams, starts, make_table(grams, np.zeros(len(grams), np.uint32)))
    rows = signatures(points, offsets)
    numbers = np.arange(len(_TEXTS), dtype=np.uint64)
    pairs = candidate_pairs(np.ones(len(_TEXTS), np.uint64), numbers, np.zeros(len(_TEXTS)))
    places = np.zeros(len(pairs), np.int64)
    similarity = compare(rows, (places, places), 6, 1)
    first_copies(numbers, numbers)
    edges = np.empty(len(pairs), EDGE)
    edges["pair"], edges["similarity"] = pairs, similarity
    near = neighbours(edges)
    limits = np.full(len(near.documents), 0.5, np.float32)
    select(near, np.arange(len(limits)), limits)
    components(near, limits)


if __name__ == "__main__":
    compile_kernels()
