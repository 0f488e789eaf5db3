"""A GPU trains what a CPU trains, and what disturbs a run on it costs as little as on a CPU.

`make test-gpu` runs them on a machine with one GPU or more; without one they are skipped.
"""

import signal
from pathlib import Path
from typing import Any

import pytest

from integration.trainer.conftest import TrainerPods
from integration.trainer.launchers import LauncherPod, StartLaunchers
from integration.trainer.programs import run_program
from integration.trainer.training_runs import BATCH, LENGTH, losses, make_run
from ports import free_port
from pretrain_api.reports import ExitClass, ExitReport

pytestmark = [pytest.mark.integration, pytest.mark.gpu, pytest.mark.timeout(600)]

TOLERANCES = {"fp32": 1e-3, "bf16": 5e-2}
"""Largest difference of a loss of about 5: other kernels add in another order, bf16 has 8 bits."""

EXPERTS = {"experts": {"count": 8, "topK": 2, "ffnHiddenSize": 48, "auxiliaryLoss": 0.01}}
MODELS: dict[str, dict[str, Any]] = {"dense": {}, "experts": EXPERTS}

LAYOUTS: dict[str, dict[str, Any]] = {
    "data 2": {"processes": 2},
    "tensor 2": {"processes": 2, "tensor": 2, "sequence": True},
    "pipeline 2 with two chunks each": {"processes": 2, "pipeline": 2, "virtualPipeline": 2},
    "context 2": {"processes": 2, "context": 2},
    "tensor 2 x pipeline 2": {"processes": 4, "tensor": 2, "pipeline": 2},
    "tensor 2 x context 2 x data 2": {"processes": 8, "tensor": 2, "context": 2},
}


def gpus() -> int:
    import torch  # not above: collecting tests should not take its import

    return torch.cuda.device_count()


@pytest.fixture(autouse=True, scope="module")
def _gpu() -> None:
    if not gpus():
        pytest.skip("torch sees no GPU")


def run_on_gpu(name: str, **changes: Any) -> dict[str, Any]:
    """Return a run on GPUs that has a folder of its own for its checkpoints."""
    location = {"uri": f"file:///pretrain/checkpoints/{name}", **changes.pop("checkpoint", {})}
    return make_run(checkpoint=location, **changes) | {"device": "cuda"}


def complete(pod: LauncherPod) -> ExitReport:
    report = pod.report()
    assert report.exit_class is ExitClass.COMPLETE, report.message + pod.log.read_text()[-4000:]
    return report


@pytest.fixture(scope="module")
def failures() -> dict[str, str]:
    """Tracebacks of the checks of kernels, empty for those that passed."""
    value: dict[str, str] = run_program("kernels_on_gpu.py", str(free_port()))
    return value


@pytest.mark.parametrize(
    "check",
    [
        "rotation",
        "cross_entropy",
        "attention",
        "attention_to_earlier_keys",
        "grouped_linear",
        "weighted_swiglu",
        "token_copies",
        "weight_gradients",
        "normal_numbers",
    ],
)
def test_a_kernel_computes_its_formula(failures: dict[str, str], check: str) -> None:
    assert failures[f"check_{check}"] == ""


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("precision", TOLERANCES)
def test_a_gpu_reaches_the_losses_of_a_cpu(
    pods: TrainerPods, start: StartLaunchers, model: str, precision: str
) -> None:
    on_cpu = pods.attempt(model=MODELS[model])
    assert on_cpu.exit_class is ExitClass.COMPLETE, on_cpu.message
    run = run_on_gpu("gpu", model=MODELS[model], training={"precision": precision})
    (pod,) = start(run)
    on_gpu = complete(pod)
    assert losses(on_gpu)[-1] < losses(on_gpu)[0] - 0.1
    assert losses(on_gpu) == pytest.approx(losses(on_cpu), abs=TOLERANCES[precision])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_several_gpus_reach_the_losses_of_one(start: StartLaunchers, layout: str) -> None:
    needed = LAYOUTS[layout]["processes"]
    if gpus() < needed:
        pytest.skip(f"needs {needed} GPUs")
    (one,) = start(run_on_gpu("one"))
    (several,) = start(run_on_gpu("several", parallelism=dict(LAYOUTS[layout])))
    assert losses(complete(several)) == pytest.approx(losses(complete(one)), abs=1e-4)


def test_a_killed_rank_costs_only_the_steps_after_the_last_checkpoint(
    start: StartLaunchers,
) -> None:
    changes: dict[str, Any] = {
        "training": {"tokens": 100 * BATCH * LENGTH},
        "checkpoint": {"every": {"steps": 4}},
    }
    (pod,) = start(run_on_gpu("undisturbed", **changes))
    undisturbed = complete(pod)
    (pod,) = start(run_on_gpu("disturbed", **changes))
    pod.wait_for(lambda: pod.goes_on_after_a_checkpoint)
    pod.ranks[0].send_signal(signal.SIGKILL)
    end = pod.report()
    assert end.exit_class is ExitClass.INFRASTRUCTURE
    assert end.checkpoint is not None
    (pod,) = start(run_on_gpu("disturbed", **changes))
    resumed = complete(pod)
    assert resumed.training is not None
    assert resumed.training.from_step >= end.checkpoint.step
    assert losses(resumed) == pytest.approx(losses(undisturbed), abs=1e-4)


def test_sigterm_saves_what_a_cpu_goes_on_from(pods: TrainerPods, start: StartLaunchers) -> None:
    def changes(steps: int) -> dict[str, Any]:
        schedule = {"decay": {"tokens": 3000 * BATCH * LENGTH}}
        return {"training": {"tokens": steps * BATCH * LENGTH, "schedule": schedule}}

    (pod,) = start(run_on_gpu("moved", **changes(3000)))
    pod.wait_for(lambda: pod.step >= 2)
    pod.process.terminate()
    report = pod.report()
    assert report.exit_class is ExitClass.PREEMPTED, report.message
    assert report.checkpoint is not None
    saved = report.checkpoint.step
    run = run_on_gpu("moved", **changes(saved + 2)) | {"device": "cpu"}
    resumed = pods.attempt_of(run)[0]
    assert resumed.exit_class is ExitClass.COMPLETE, resumed.message
    assert resumed.training is not None
    assert resumed.training.from_step == saved
    assert losses(resumed)[-1] < losses(resumed)[0]


def test_a_frozen_rank_ends_the_attempt_as_a_hang(start: StartLaunchers) -> None:
    training = {"tokens": 3000 * BATCH * LENGTH}
    recovery = {"startWithin": "60s", "stepWithin": "45s"}
    (pod,) = start(run_on_gpu("frozen", training=training, recovery=recovery))
    pod.wait_for(lambda: pod.step >= 2)
    pod.ranks[0].suspend()
    report = pod.report()
    assert report.exit_class is ExitClass.HANG
    assert report.message.startswith("the ranks got no further for 45 s")


def test_a_gpu_without_memory_is_named(pods: TrainerPods, start: StartLaunchers) -> None:
    pods.environment["PYTORCH_ALLOC_CONF"] = "per_process_memory_fraction:0.00001"
    (pod,) = start(run_on_gpu("small"))
    report = pod.report()
    assert report.exit_class is ExitClass.OUT_OF_MEMORY, report.message


@pytest.mark.parametrize("model", MODELS)
def test_an_exported_model_has_the_logits_of_the_gpu(
    pods: TrainerPods, start: StartLaunchers, model: str
) -> None:
    export = {"huggingFace": {"uri": f"file:///pretrain/models/{model}"}}
    (pod,) = start(run_on_gpu("exported", model=MODELS[model], export=export))
    report = complete(pod)
    assert report.training is not None
    assert report.training.export_logit_difference is not None
    assert report.training.export_logit_difference < 0.05
    assert list(Path(pods.root / "models" / model).rglob("model*.safetensors"))
