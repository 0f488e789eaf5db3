"""The learning rate at each point of every shape."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.v1alpha1.training import TrainingSpec
from pretrain_workloads.failures import UserError
from pretrain_workloads.trainer.schedule import check_continuity, learning_rate


def make_training(**schedule: Any) -> TrainingSpec:
    return TrainingSpec.model_validate(
        {
            "tokens": 1000,
            "sequenceLength": 10,
            "globalBatchSize": 1,
            "optimizer": {"learningRate": 1.0, "minLearningRate": 0.1},
            "schedule": schedule,
        }
    )


@pytest.mark.parametrize(
    ("shape", "done", "want"),
    [
        ("cosine", 0.25, 0.853553),
        ("cosine", 0.5, 0.5),
        ("cosine", 0.75, 0.146447),
        ("linear", 0.25, 0.75),
        ("linear", 0.5, 0.5),
        ("linear", 0.75, 0.25),
    ],
)
def test_a_shape_has_its_formulas_value(shape: str, done: float, want: float) -> None:
    training = make_training(warmup={"tokens": 200}, decay={"shape": shape})
    rate = learning_rate(training, 200 + int(done * 800))
    assert rate == pytest.approx(0.1 + 0.9 * want, abs=1e-6)


def test_warmup_rises_linearly_and_its_first_step_counts() -> None:
    training = make_training(warmup={"tokens": 200})
    assert learning_rate(training, 10) == pytest.approx(0.05)
    assert learning_rate(training, 100) == pytest.approx(0.5)
    assert learning_rate(training, 200) == pytest.approx(1.0)


def test_the_last_step_has_the_minimum() -> None:
    assert learning_rate(make_training(), 1000) == 0.1


def test_after_an_early_decay_the_minimum_stays() -> None:
    training = make_training(decay={"shape": "linear", "tokens": 500})
    assert learning_rate(training, 500) == learning_rate(training, 900) == 0.1


def test_constant_stays_at_the_peak() -> None:
    training = make_training(warmup={"tokens": 100}, decay={"shape": "constant"})
    assert learning_rate(training, 1000) == 1.0


def test_wsd_is_flat_then_falls_by_the_root_over_the_last_tenth() -> None:
    training = make_training(warmup={"tokens": 200}, decay={"shape": "wsd"})
    assert learning_rate(training, 200) == learning_rate(training, 920) == 1.0
    assert learning_rate(training, 940) == pytest.approx(0.1 + 0.9 * 0.5, abs=1e-6)
    assert learning_rate(training, 1000) == 0.1


def test_an_anneal_ends_the_run_with_a_linear_fall_to_zero() -> None:
    training = make_training(decay={"shape": "linear"}, anneal={"tokens": 200})
    assert learning_rate(training, 400) == pytest.approx(0.55)
    assert learning_rate(training, 800) == pytest.approx(0.1)
    assert learning_rate(training, 900) == pytest.approx(0.05)
    assert learning_rate(training, 1000) == 0.0


@pytest.mark.parametrize("shape", ["cosine", "linear", "wsd"])
def test_a_run_that_grew_goes_on_only_where_its_rate_does_not_jump(shape: str) -> None:
    before = learning_rate(make_training(decay={"shape": shape}), 950)
    grown = make_training(decay={"shape": shape}).model_copy(update={"tokens": 2000})
    with pytest.raises(UserError, match=r"would jump from .* after 950 tokens"):
        check_continuity(grown, 950, before)
    pinned = make_training(decay={"shape": shape, "tokens": 1000})
    check_continuity(pinned.model_copy(update={"tokens": 2000}), 950, before)


def test_a_wsd_run_may_grow_until_its_fall_begins() -> None:
    training = make_training(decay={"shape": "wsd"})
    grown = training.model_copy(update={"tokens": 2000})
    check_continuity(grown, 900, learning_rate(training, 900))


@given(
    warmup=st.integers(0, 1500),
    end=st.none() | st.integers(0, 1500),
    shape=st.sampled_from(["cosine", "linear", "constant", "wsd"]),
    anneal=st.none() | st.integers(1, 1000),
    tokens=st.integers(0, 2000),
)
def test_the_rate_never_leaves_its_range(
    warmup: int, end: int | None, shape: str, anneal: int | None, tokens: int
) -> None:
    decay: dict[str, Any] = {"shape": shape} | ({"tokens": end} if end is not None else {})
    last = {"anneal": {"tokens": anneal}} if anneal else {}
    training = make_training(warmup={"tokens": warmup}, decay=decay, **last)
    rate = learning_rate(training, tokens)
    assert 0.0 <= rate <= 1.0
