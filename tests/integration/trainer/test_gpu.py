"""One GPU with NCCL trains what a CPU with gloo trains.

NEVER RUN SO FAR: none of the machines that this was written and tested on has a GPU. Whoever runs
it first should expect to mend something: `pytest -m gpu tests/integration/trainer`.
"""

import os
import subprocess
import sys
from typing import Any

import pytest

from integration.trainer.conftest import TrainerPods
from integration.trainer.training_runs import losses, make_run
from ports import free_port
from pretrain_api import paths
from pretrain_api.reports import ExitClass, ExitReport

pytestmark = [pytest.mark.integration, pytest.mark.gpu, pytest.mark.timeout(600)]

TOLERANCES = {"fp32": 1e-3, "bf16": 5e-2}
"""Largest difference of a loss of about 5: other kernels add in another order, bf16 has 8 bits."""


@pytest.fixture(autouse=True)
def _gpu() -> None:
    import torch  # not above: collecting tests should not take its import

    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")


@pytest.mark.parametrize("precision", TOLERANCES)
def test_a_gpu_reaches_the_losses_of_a_cpu(pods: TrainerPods, precision: str) -> None:
    on_cpu = pods.attempt()
    assert on_cpu.exit_class is ExitClass.COMPLETE, on_cpu.message

    run = make_run(
        training={"precision": precision},
        checkpoint={"uri": f"file:///pretrain/checkpoints/{precision}"},
    )
    on_gpu = train_on_gpu(pods, run)
    assert on_gpu.exit_class is ExitClass.COMPLETE, on_gpu.message
    assert losses(on_gpu)[-1] < losses(on_gpu)[0] - 0.1
    assert losses(on_gpu) == pytest.approx(losses(on_cpu), abs=TOLERANCES[precision])


def train_on_gpu(pods: TrainerPods, run: dict[str, Any]) -> ExitReport:
    """Run an attempt with the real launcher in a process of its own: no fork, no patches."""
    pods.attempts += 1
    run |= {"device": "cuda", "attempt": pods.attempts, "rendezvousPort": free_port()}
    run["rendezvousHost"] = "run-0.run"
    root = pods.pod_root(0, run)
    hosts = root / "hosts"
    hosts.write_text("127.0.0.1 run-0.run\n")
    variables = {
        "PRETRAIN_ROOT": str(root),
        "POD_IP": "127.0.0.1",
        "JOB_COMPLETION_INDEX": "0",
        paths.HOSTS_VARIABLE: str(hosts),
    }
    launcher = [sys.executable, "-m", "pretrain_workloads.trainer"]
    done = subprocess.run(
        launcher, env={**os.environ, **variables}, stderr=subprocess.PIPE, text=True, check=False
    )
    sys.stderr.write(done.stderr[-4000:])  # shown if the test fails
    return ExitReport.model_validate_json((root / "termination-log").read_bytes())
