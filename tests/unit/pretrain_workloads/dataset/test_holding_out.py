import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.v1alpha1.tokendataset import PartSummary, TokenDatasetSpec
from pretrain_workloads.dataset.holding_out import content_groups, first_of_groups, hold_out
from pretrain_workloads.dataset.overlaps import mixture_warnings

documents = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=60
)
"""(text, artifact, cluster) of each document."""


def columns(rows: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    texts, artifacts, clusters = (np.array(column) for column in zip(*rows, strict=True))
    return texts.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15), artifacts, clusters


@given(documents)
def test_copies_and_near_duplicates_are_of_one_group(rows: list[tuple[int, int, int]]) -> None:
    hashes, artifacts, clusters = columns(rows)
    groups = content_groups(hashes, artifacts, clusters)
    for i in range(len(rows)):
        for j in range(i):
            near = (artifacts[i], clusters[i]) == (artifacts[j], clusters[j])
            if hashes[i] == hashes[j] or near:
                assert groups[i] == groups[j]


@given(documents, st.floats(0.0, 0.5), st.integers(1, 200))
def test_no_text_is_in_validation_and_in_training(
    rows: list[tuple[int, int, int]], fraction: float, min_tokens: int
) -> None:
    hashes, artifacts, clusters = columns(rows)
    groups = content_groups(hashes, artifacts, clusters)
    lengths = np.arange(len(rows)) % 7 + 2
    everything = np.arange(len(rows))
    held_out = hold_out(everything, lengths, groups, fraction, min_tokens)
    trained = np.setdiff1d(everything, held_out)
    assert not set(hashes[held_out].tolist()) & set(hashes[trained].tolist())
    pairs = list(zip(artifacts.tolist(), clusters.tolist(), strict=True))
    assert not {pairs[n] for n in held_out.tolist()} & {pairs[n] for n in trained.tolist()}
    shown = first_of_groups(held_out, groups)
    assert sorted(groups[shown]) == sorted(set(groups[held_out].tolist()))


def test_the_same_texts_are_held_out_in_whatever_order_they_come() -> None:
    hashes = np.arange(1, 200, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    lengths = np.full(len(hashes), 10)
    order = np.random.default_rng(0).permutation(len(hashes))
    everything = np.arange(len(hashes))
    first = hashes[hold_out(everything, lengths, hashes, 0.2, 1)]
    second = hashes[order][hold_out(everything, lengths, hashes[order], 0.2, 1)]
    assert set(first.tolist()) == set(second.tolist())
    assert 20 < len(first) < 60


def test_parts_that_share_texts_or_repeat_too_often_are_warned_about() -> None:
    spec = TokenDatasetSpec.model_validate(
        {
            "tokenizerRef": {"name": "t"},
            "mixture": [{"pipelineRef": {"name": "a"}}, {"pipelineRef": {"name": "b"}}],
            "tokens": 100,
            "sequenceLength": 10,
            "output": {"uri": "s3://a/b"},
            "reuse": {"maxUses": 2},
        }
    )
    parts = [PartSummary(epochs=3.5), PartSummary(epochs=1.0)]
    hashes = np.array([5, 6, 7, 5], np.uint64)
    warnings = mixture_warnings(spec, parts, [np.array([0, 1]), np.array([2, 3])], hashes)
    assert warnings == [
        "mixture[0] repeats its documents 3.5 times, more than reuse.maxUses = 2; lower its weight,"
        " or add text",
        "mixture[0] and mixture[1] have 1 texts in common (50% of the smaller): they are trained on"
        " by both",
    ]
    assert mixture_warnings(spec, parts[1:] * 2, [np.array([1]), np.array([2])], hashes) == []


def test_half_of_the_text_is_the_most_that_is_held_out_for_a_sequence() -> None:
    hashes = np.arange(1, 5, dtype=np.uint64)
    held_out = hold_out(np.arange(4), np.full(4, 10), hashes, 0.0001, 10**6)
    assert len(held_out) == 2
    assert pytest.approx(0.5) == len(held_out) / 4
