"""The learning rate at each point of every shape."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.v1alpha1.training import TrainingSpec
from pretrain_workloads.trainer.schedule import learning_rate


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


@given(
    warmup=st.integers(0, 1500),
    end=st.none() | st.integers(0, 1500),
    shape=st.sampled_from(["cosine", "linear", "constant"]),
    tokens=st.integers(0, 2000),
)
def test_the_rate_never_leaves_its_range(
    warmup: int, end: int | None, shape: str, tokens: int
) -> None:
    decay: dict[str, Any] = {"shape": shape} | ({"tokens": end} if end is not None else {})
    rate = learning_rate(make_training(warmup={"tokens": warmup}, decay=decay), tokens)
    assert 0.0 <= rate <= 1.0
