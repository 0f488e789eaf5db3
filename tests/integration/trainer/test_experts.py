"""Mixtures of experts: every layout trains the same model, and continues any other's checkpoint."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from event_files import read_events
from integration.trainer.conftest import TrainerPods
from integration.trainer.launchers import StartLaunchers
from integration.trainer.training_runs import BATCH, LENGTH, losses, make_run
from integration.trainer.transformers_runs import DECAY, batches, load_model, train
from pretrain_api.reports import ExitClass, ExitReport

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

STEPS, RATE = 6, 3e-3

SIGMOID = {
    "qkNorm": True,
    "experts": {
        "count": 4,
        "ffnHiddenSize": 48,
        "sharedFfnHiddenSize": 48,
        "denseLayers": 1,
        "router": "sigmoid",
        "auxiliaryLoss": 0.1,
        "zLoss": 0.01,
        "biasUpdateRate": 0.05,
    },
}
SOFTMAX = {"experts": {"count": 4, "ffnHiddenSize": 48, "auxiliaryLoss": 0.5, "zLoss": 0.1}}

LAYOUTS: dict[str, dict[str, Any]] = {
    "expert 2 of data 2": {"processes": 2, "expert": 2},
    "expert 2 of data 4": {"processes": 4, "expert": 2},
    "tensor 2 x expert 2": {"processes": 4, "tensor": 2, "sequence": True, "expert": 2},
    "tensor 2 as expert tensor 2": {
        "processes": 2,
        "tensor": 2,
        "sequence": True,
        "expertTensor": 2,
    },
    "pipeline 2 with two chunks each x expert 2": {
        "processes": 4,
        "pipeline": 2,
        "virtualPipeline": 2,
        "expert": 2,
    },
    "expert 2 without distributed optimizer": {
        "processes": 2,
        "expert": 2,
        "distributedOptimizer": False,
    },
    "everything at once": {
        "processes": 8,
        "tensor": 2,
        "pipeline": 2,
        "context": 2,
        "sequence": True,
        "expert": 4,
    },
}


def training(steps: int = STEPS, **changes: Any) -> dict[str, Any]:
    """Return a training of so many steps with a constant learning rate."""
    return {
        "tokens": steps * BATCH * LENGTH,
        "optimizer": {"learningRate": RATE, "minLearningRate": RATE, "weightDecay": DECAY},
        "schedule": {"warmup": {"tokens": 0}, "decay": {"shape": "constant"}},
        **changes,
    }


def complete(report: ExitReport) -> ExitReport:
    assert report.exit_class is ExitClass.COMPLETE, report.message
    return report


def imbalances(root: Path) -> list[float]:
    """Return how unevenly each step's tokens went to the experts, as TensorBoard shows it."""
    files = sorted(root.glob("checkpoints/**/tensorboard/attempt-*/*"), key=lambda one: one.suffix)
    events = [event for file in files for event in read_events(file)]
    return [value for _, tag, value in events if tag == "training/expert_imbalance"]


@pytest.fixture(scope="module")
def undisturbed(lone_pods: TrainerPods) -> tuple[ExitReport, list[float]]:
    report = complete(lone_pods.attempt(model=SIGMOID, training=training()))
    return report, imbalances(lone_pods.root)


@pytest.fixture
def one_process(undisturbed: tuple[ExitReport, list[float]]) -> ExitReport:
    return undisturbed[0]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_reaches_the_losses_of_one_process(
    layout: str, pods: TrainerPods, undisturbed: tuple[ExitReport, list[float]]
) -> None:
    one_process, uneven = undisturbed
    report = complete(
        pods.attempt(model=SIGMOID, training=training(), parallelism=dict(LAYOUTS[layout]))
    )
    assert losses(report) == pytest.approx(losses(one_process), abs=1e-5)
    assert report.training is not None
    assert one_process.training is not None
    assert report.training.perplexity == pytest.approx(one_process.training.perplexity, rel=1e-5)
    assert report.training.parameters == one_process.training.parameters
    assert len(uneven) == STEPS
    assert imbalances(pods.root) == pytest.approx(uneven, abs=1e-4)
    assert all(1.0 <= value <= 2.0 for value in uneven)


@pytest.mark.parametrize(
    "changes",
    [{"recompute": "selective"}, {"recompute": "full"}, {"microBatchSize": 4}],
    ids=str,
)
def test_neither_recomputation_nor_the_micro_batch_changes_the_losses(
    changes: dict[str, Any], pods: TrainerPods, one_process: ExitReport
) -> None:
    report = complete(
        pods.attempt(
            model=SIGMOID,
            training=training(**changes),
            parallelism={"processes": 2, "expert": 2},
        )
    )
    assert losses(report) == pytest.approx(losses(one_process), abs=1e-5)


def imbalance_of(scores: torch.Tensor) -> torch.Tensor:
    """Return how unevenly a layer spreads the tokens of each sequence, on average."""
    of_sequence = scores.view(BATCH, LENGTH, -1)
    shares = torch.softmax(of_sequence, dim=-1)
    chosen = torch.zeros_like(shares).scatter(2, shares.topk(2, dim=-1).indices, 1.0)
    busy = (chosen.mean(1) / 2 * shares.mean(1)).sum(-1) * SOFTMAX["experts"]["count"]
    return busy.mean()


def balance_and_z_loss(output: Any) -> torch.Tensor:
    """Return both losses of the softmax router as their papers define them.

    Source: Fedus et al. 2021 (Switch Transformer), equation 4, over each sequence and for `topK`
    experts; Zoph et al. 2022 (ST-MoE), equation 5.
    """
    experts = SOFTMAX["experts"]
    total = torch.zeros(())
    for scores in output.router_logits:
        total = total + experts["auxiliaryLoss"] * imbalance_of(scores)
        total = total + experts["zLoss"] * torch.logsumexp(scores, dim=-1).square().mean()
    return total


def exported(root: Path, name: str) -> Path:
    (found,) = (root / "models" / name).glob("*/*")
    return found


def test_the_auxiliary_losses_move_the_weights_as_their_formulas_do(pods: TrainerPods) -> None:
    still = training() | {"optimizer": {"learningRate": 0.0, "minLearningRate": 0.0}}
    places = {
        "checkpoint": {"uri": "file:///pretrain/checkpoints/start"},
        "export": {"huggingFace": {"uri": "file:///pretrain/models/start"}},
    }
    complete(pods.attempt(model=SOFTMAX, training=still, **places))
    start = load_model(exported(pods.root, "start"))
    (ids,) = batches(pods.root, 1)
    with torch.no_grad():
        scores = start(ids[:, :-1], output_router_logits=True).router_logits
    uneven = torch.stack([imbalance_of(one) for one in scores]).mean()
    assert imbalances(pods.root)[0] == pytest.approx(float(uneven), abs=1e-5)
    want = train(start, pods.root, STEPS, RATE, balance_and_z_loss)
    report = complete(pods.attempt(model=SOFTMAX, training=training()))
    assert losses(report) == pytest.approx(want, abs=1e-5)
    plain = train(load_model(exported(pods.root, "start")), pods.root, STEPS, RATE)
    assert abs(plain[-1] - want[-1]) > 1e-4  # the losses make a difference that this test sees


SAVED = {"processes": 4, "pipeline": 2, "expert": 2}


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param({}, id="one process"),
        pytest.param({"processes": 4, "expert": 4}, id="expert 4"),
        pytest.param(
            {"processes": 4, "tensor": 2, "sequence": True, "expertTensor": 2}, id="expert tensor 2"
        ),
    ],
)
def test_a_checkpoint_continues_under_another_layout(
    layout: dict[str, Any], pods: TrainerPods, one_process: ExitReport
) -> None:
    complete(pods.attempt(model=SIGMOID, training=training(3), parallelism=dict(SAVED)))
    resumed = complete(pods.attempt(model=SIGMOID, training=training(), parallelism=dict(layout)))
    assert resumed.training is not None
    assert resumed.training.from_step == 3
    assert losses(resumed) == pytest.approx(losses(one_process), abs=1e-5)


def test_a_resumed_run_is_bitwise_the_undisturbed_one(pods: TrainerPods) -> None:
    complete(pods.attempt(model=SIGMOID, training=training(3), parallelism=dict(SAVED)))
    resumed = complete(pods.attempt(model=SIGMOID, training=training(), parallelism=dict(SAVED)))
    undisturbed = complete(
        pods.attempt(
            model=SIGMOID,
            training=training(),
            parallelism=dict(SAVED),
            checkpoint={"uri": "file:///pretrain/checkpoints/other"},
        )
    )
    assert losses(resumed) == losses(undisturbed)


def test_a_checkpoint_without_experts_is_not_one_of_a_model_with_them(pods: TrainerPods) -> None:
    complete(pods.attempt(training=training(1)))
    report = pods.attempt(model=SOFTMAX, training=training(2))
    assert report.exit_class is ExitClass.USER_ERROR
    assert "is the checkpoint of another model (experts.count 0, not 4, " in report.message


def test_a_killed_rank_ends_those_that_wait_for_its_experts(
    pods: TrainerPods, start: StartLaunchers
) -> None:
    run = make_run(
        model=SIGMOID,
        training=training(steps=5000),
        parallelism={"nodes": 2, "processes": 1, "expert": 2},
    )
    first, second = start(run)
    first.wait_for(lambda: first.step >= 2)
    second.ranks[0].send_signal(signal.SIGKILL)
    ends = [first.report(), second.report()]
    assert [end.exit_class for end in ends] == [ExitClass.INFRASTRUCTURE] * 2
    assert "lost the connection to rank 1 on node 1" in ends[0].message
    assert "killed by SIGKILL" in ends[1].message


def test_bf16_trains_with_experts(pods: TrainerPods) -> None:
    report = complete(
        pods.attempt(
            model=SIGMOID,
            training=training(precision="bf16"),
            parallelism={"processes": 2, "expert": 2},
            export={"huggingFace": {"uri": "file:///pretrain/models/bf16"}},
        )
    )
    assert losses(report)[-1] < losses(report)[0]
    assert report.training is not None
    assert report.training.export_logit_difference is not None
