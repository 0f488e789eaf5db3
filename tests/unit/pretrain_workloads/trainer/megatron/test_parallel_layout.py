"""Sizes: what divides is accepted, everything else refused with all problems."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_training_run
from pretrain_api.runs import TrainingRun
from pretrain_workloads.trainer.megatron.parallel_layout import (
    InvalidLayout,
    ParallelLayout,
    pattern,
    plan_layout,
)

VOCABULARY = 8192


def make_run(processes: int = 1, **changes: dict[str, Any]) -> TrainingRun:
    spec: dict[str, Any] = {
        "model": {"layers": 4, "hiddenSize": 64, "ffnHiddenSize": 128, "attentionHeads": 4},
        "data": {"datasetRef": {"name": "blocks"}},
        "parallelism": {},
        "training": {"tokens": 10_000, "sequenceLength": 32, "globalBatchSize": 8},
        "checkpoint": {"uri": "file:///pretrain/checkpoints"},
    }
    for field, value in changes.items():
        spec[field] |= value
    return make_training_run(spec, processes)


def plan(processes: int = 1, **changes: dict[str, Any]) -> ParallelLayout:
    return plan_layout(make_run(processes, **changes), VOCABULARY)


REFUSED: dict[str, tuple[int, dict[str, dict[str, Any]], str]] = {
    "too few processes": (3, {"parallelism": {"tensor": 2}}, "tensor * pipeline * context = 2"),
    "a batch that does not divide": (
        3,
        {},
        "spec.training.globalBatchSize: 8 is not a multiple of data-parallel size * "
        "microBatchSize = 3",
    ),
    "uneven stages": (
        2,
        {"parallelism": {"pipeline": 2}, "model": {"layers": 5}},
        "spec.model.layers: 5, but the 2 pipeline segments hold 4",
    ),
    "heads over too many ranks": (
        8,
        {"parallelism": {"tensor": 8}},
        "8 does not divide spec.model.attentionHeads = 4",
    ),
    "groups that do not divide the heads": (
        1,
        {"model": {"queryGroups": 3}},
        "spec.model.queryGroups: 3 does not divide attentionHeads = 4",
    ),
    "a width that the heads do not divide": (
        1,
        {"model": {"hiddenSize": 66}},
        "spec.model.hiddenSize: 66 is not a multiple of attentionHeads = 4",
    ),
    "odd heads": (
        1,
        {"model": {"hiddenSize": 60}},
        "spec.model.attentionHeads: 4 of an odd size, 15",
    ),
    "chunks without a pipeline": (
        1,
        {"parallelism": {"virtualPipeline": 2}},
        "spec.parallelism.virtualPipeline: 2 with pipeline = 1",
    ),
    "micro-batches that do not fill an interleaved pipeline": (
        2,
        {
            "parallelism": {"pipeline": 2, "virtualPipeline": 2},
            "training": {"globalBatchSize": 3},
        },
        "makes 3 micro-batches of a step, with virtualPipeline not a multiple of pipeline = 2",
    ),
    "a sequence that context ranks cannot share": (
        4,
        {"parallelism": {"context": 4}, "training": {"sequenceLength": 36}},
        "36 is not a multiple of 2 * context = 8",
    ),
    "a sequence that tensor ranks cannot share": (
        4,
        {"parallelism": {"tensor": 4, "sequence": True}, "training": {"sequenceLength": 34}},
        "34 is not a multiple of tensor * context = 4, which spec.parallelism.sequence needs",
    ),
    "less than one step": (
        1,
        {"training": {"tokens": 100}},
        "less than globalBatchSize * sequenceLength = 256",
    ),
    "fewer ids than the tokenizer": (
        1,
        {"model": {"vocabularySize": 100}},
        "spec.model.vocabularySize: 100 is less than the tokenizer's 8192 ids",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_size_is_refused_with_the_numbers(case: str) -> None:
    processes, changes, want = REFUSED[case]
    with pytest.raises(InvalidLayout) as error:
        plan(processes, **changes)
    assert want in str(error.value)
    assert str(error.value).endswith("; `kubectl pretrain validate` says what to change")


def test_all_problems_are_listed_together() -> None:
    with pytest.raises(InvalidLayout) as error:
        plan(2, parallelism={"tensor": 2}, model={"queryGroups": 1, "ffnHiddenSize": 127})
    assert len(error.value.problems) == 2


def test_the_embedding_has_the_same_rows_for_every_tensor_size() -> None:
    sizes = {
        plan_layout(make_run(n, parallelism={"tensor": n}), 1000).padded_vocabulary_size
        for n in (1, 2, 4)
    }
    assert sizes == {1024}


def test_split_sequences_need_several_tensor_ranks() -> None:
    assert not plan(parallelism={"sequence": True}).sequence_parallel


@given(chunks=st.lists(st.integers(0, 40), min_size=1, max_size=64), dense=st.integers(0, 300))
def test_a_pattern_holds_every_layer_once_in_exactly_its_segments(
    chunks: list[int], dense: int
) -> None:
    parts = pattern(chunks, dense).split("|")
    assert [len(part) // 2 for part in parts] == chunks
    layers = sum(chunks)
    assert "".join(parts) == ("*-" * dense + "*E" * layers)[: 2 * layers]


@given(
    data=st.sampled_from([1, 2, 4, 8]),
    micro=st.integers(1, 4),
    micro_batches=st.integers(1, 8),
    tensor=st.sampled_from([1, 2, 4]),
)
def test_every_sequence_of_a_batch_has_one_rank(
    data: int, micro: int, micro_batches: int, tensor: int
) -> None:
    batch = data * micro * micro_batches
    layout = plan(
        data * tensor,
        parallelism={"tensor": tensor},
        training={"globalBatchSize": batch, "microBatchSize": micro, "tokens": 10**6},
    )
    assert layout.data_parallel_size == data
    assert layout.micro_batches(batch) * layout.micro_batch_size * data == batch
    assert layout.symbols == 8
    assert layout.steps.count == 10**6 // (batch * 32)
