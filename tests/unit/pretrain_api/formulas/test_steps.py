"""The optimizer steps of a run, with batches that grow."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.formulas.steps import steps_of
from pretrain_api.v1alpha1.training import TrainingSpec

LENGTH = 10


def training(tokens: int, batch: int, *later: tuple[int, int]) -> TrainingSpec:
    schedule = [{"fromTokens": start, "globalBatchSize": size} for start, size in later]
    fields: dict[str, Any] = {"batchSchedule": schedule} if schedule else {}
    sizes = {"tokens": tokens, "sequenceLength": LENGTH, "globalBatchSize": batch}
    return TrainingSpec.model_validate(sizes | fields)


def test_a_run_of_one_batch_size_has_whole_steps_only() -> None:
    steps = steps_of(training(1099, 5))
    assert (steps.count, steps.tokens(steps.count)) == (21, 1050)
    assert [steps.samples(n) for n in (0, 1, 21, 30)] == [0, 5, 105, 150]


def test_a_later_size_holds_from_the_first_step_that_begins_there() -> None:
    steps = steps_of(training(1000, 4, (90, 8), (330, 16)))
    # 9 sequences are reached by the third step of 4, 33 by the third one of 8.
    assert [steps.batch_size(n) for n in range(8)] == [4, 4, 4, 8, 8, 8, 16, 16]
    assert steps.count == 3 + 3 + (100 - 36) // 16
    assert steps.done_at(360) == 6


def test_a_run_that_ends_before_a_size_never_has_it() -> None:
    steps = steps_of(training(95, 4, (90, 8)))
    assert [phase.batch_size for phase in steps.phases] == [4]
    assert steps.count == 2


@given(
    tokens=st.integers(1, 5000),
    batch=st.integers(1, 20),
    later=st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 40)), max_size=4),
)
def test_steps_follow_each_other_without_gaps(
    tokens: int, batch: int, later: list[tuple[int, int]]
) -> None:
    changes = sorted(dict(later).items())
    steps = steps_of(training(tokens, batch, *changes))
    for step in range(steps.count):
        begins = steps.tokens(step)
        assert steps.samples(step + 1) - steps.samples(step) == steps.batch_size(step)
        wanted = [size for start, size in changes if start <= begins]
        assert steps.batch_size(step) == (wanted[-1] if wanted else batch)
        assert steps.done_at(begins) == step
    assert steps.tokens(steps.count) <= tokens
    left = tokens // LENGTH - steps.samples(steps.count)
    assert left < steps.batch_size(steps.count)
