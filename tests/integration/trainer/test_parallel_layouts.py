"""Every layout trains the same model: its losses are those of one process."""

from typing import Any

import pytest

from integration.trainer.conftest import TrainerPods
from integration.trainer.training_runs import losses
from pretrain_api.reports import ExitClass

pytestmark = pytest.mark.integration

STEPS = 10

LAYOUTS: dict[str, dict[str, Any]] = {
    "tensor 2 x pipeline 2": {"processes": 4, "tensor": 2, "pipeline": 2},
    "tensor 2 x pipeline 2 x data 2": {"processes": 8, "tensor": 2, "pipeline": 2},
    "pipeline 2 with two chunks each": {"processes": 2, "pipeline": 2, "virtualPipeline": 2},
    "pipeline 2 of 3 and 1 layers": {"processes": 2, "pipeline": 2, "firstStageLayers": 3},
    "pipeline 3 whose ends count as layers": {
        "processes": 3,
        "pipeline": 3,
        "countEmbedding": True,
        "countLoss": True,
    },
    "pipeline 2 with an empty chunk": {
        "processes": 2,
        "pipeline": 2,
        "virtualPipeline": 2,
        "stageLayers": [0, 2, 1, 1],
    },
    "tensor 2 with split sequences": {"processes": 2, "tensor": 2, "sequence": True},
    "data 2 without distributed optimizer": {"processes": 2, "distributedOptimizer": False},
    "context 2": {"processes": 2, "context": 2},
    "everything at once": {
        "processes": 8,
        "tensor": 2,
        "pipeline": 2,
        "context": 2,
        "sequence": True,
    },
}


@pytest.fixture(scope="module")
def one_process(lone_pods: TrainerPods) -> dict[str, Any]:
    report = lone_pods.attempt()
    assert report.exit_class is ExitClass.COMPLETE, report.message
    return {"losses": losses(report), "training": report.training}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_reaches_the_losses_of_one_process(
    layout: str, pods: TrainerPods, one_process: dict[str, Any]
) -> None:
    report = pods.attempt(parallelism=dict(LAYOUTS[layout]))
    assert report.exit_class is ExitClass.COMPLETE, report.message
    assert len(report.curve) == STEPS
    assert losses(report) == pytest.approx(one_process["losses"], abs=1e-5)
    assert report.training is not None
    want = one_process["training"]
    assert report.training.initial_perplexity == pytest.approx(want.initial_perplexity, rel=1e-5)
    assert report.training.perplexity == pytest.approx(want.perplexity, rel=1e-5)
    assert report.training.parameters == want.parameters


GROWING = [
    {"fromTokens": 5 * 8 * 32, "globalBatchSize": 16},
    {"fromTokens": 12 * 8 * 32, "globalBatchSize": 24},
]


@pytest.mark.timeout(240)
def test_a_batch_that_grows_is_the_same_in_every_layout_and_after_a_resume(
    pods: TrainerPods,
) -> None:
    training = {
        "tokens": 20 * 8 * 32,
        "batchSchedule": GROWING,
        "schedule": {"decay": {"tokens": 20 * 8 * 32}},
    }
    single = pods.attempt(training=training)
    assert single.exit_class is ExitClass.COMPLETE, single.message
    assert single.training is not None
    # Five steps of 8 sequences, four of 16, and two of 24 within the 160 of the run.
    assert (single.training.to_step, single.training.tokens) == (11, (40 + 64 + 48) * 32)

    places = {"checkpoint": {"uri": "file:///pretrain/checkpoints/other"}}
    half = {**training, "tokens": 14 * 8 * 32}
    begun = pods.attempt(training=half, parallelism={"processes": 2}, **places)
    assert begun.exit_class is ExitClass.COMPLETE, begun.message
    resumed = pods.attempt(
        training=training, parallelism={"processes": 4, "tensor": 2, "pipeline": 2}, **places
    )
    assert resumed.training is not None
    assert resumed.training.from_step == 9
    assert losses(resumed) == pytest.approx(losses(single), abs=1e-5)


def test_the_run_learns(one_process: dict[str, Any]) -> None:
    assert one_process["losses"][-1] < one_process["losses"][0] - 0.1
    assert one_process["training"].perplexity < one_process["training"].initial_perplexity
