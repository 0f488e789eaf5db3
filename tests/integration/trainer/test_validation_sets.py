"""Several validation sets: each has its own loss, in any layout, from before the first step on."""

import math
import re
from typing import Any

import pytest

from integration.trainer.conftest import TrainerPods
from integration.trainer.launchers import StartLaunchers
from integration.trainer.training_runs import LENGTH, make_run, write_dataset
from pretrain_api.reports import ExitClass
from pretrain_api.v1alpha1.progress import TrainingSummary

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

NAMES = ["general", "new"]
SEQUENCES = [11, 13]


def with_sets(pods: TrainerPods) -> None:
    (pods.root / "data").unlink()
    write_dataset(pods.root / "data", sets=NAMES)


def trained(pods: TrainerPods, **changes: Any) -> TrainingSummary:
    report = pods.attempt(**changes)
    assert report.exit_class is ExitClass.COMPLETE, report.message
    assert report.training is not None
    return report.training


def test_the_losses_of_the_sets_make_that_of_all_in_any_layout(pods: TrainerPods) -> None:
    with_sets(pods)
    alone = trained(pods, checkpoint={"uri": "file:///pretrain/checkpoints/alone"})
    assert [one.name for one in alone.validation] == NAMES
    tokens = [sequences * LENGTH for sequences in SEQUENCES]
    for part in ("perplexity", "initial_perplexity"):
        sets = [getattr(one, part) for one in alone.validation]
        nats = sum(math.log(v) * n for v, n in zip(sets, tokens, strict=True))
        assert getattr(alone, part) == pytest.approx(math.exp(nats / sum(tokens)), rel=1e-4)
    assert all(
        one.initial_perplexity is not None and one.perplexity < one.initial_perplexity
        for one in alone.validation
    )
    parallel = trained(
        pods,
        parallelism={"processes": 4, "tensor": 2, "pipeline": 2},
        checkpoint={"uri": "file:///pretrain/checkpoints/parallel"},
    )
    for one, other in zip(alone.validation, parallel.validation, strict=True):
        assert other.perplexity == pytest.approx(one.perplexity, rel=1e-4)


def test_a_resumed_run_remembers_the_losses_before_its_first_step(
    pods: TrainerPods, start: StartLaunchers
) -> None:
    with_sets(pods)
    flat = {"warmup": {"tokens": 0}, "decay": {"shape": "constant"}}
    first = trained(pods, training={"tokens": 4 * 8 * LENGTH, "schedule": flat})
    (pod,) = start(make_run(training={"tokens": 8 * 8 * LENGTH, "schedule": flat}))
    report = pod.report()
    assert report.exit_class is ExitClass.COMPLETE, report.message
    assert report.training is not None
    assert report.training.from_step == 4
    initial = [one.initial_perplexity for one in first.validation]
    assert [one.initial_perplexity for one in report.training.validation] == initial
    assert None not in initial
    assert re.search(r"perplexity \d+\.\d+ of new", pod.log.read_text())
