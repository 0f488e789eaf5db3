"""Speed, operations and metrics."""

import pytest

from pretrain_api.v1alpha1.model import ModelSpec
from pretrain_api.v1alpha1.progress import Progress
from pretrain_workloads.trainer.progress.flops import flops_per_token, parameters
from pretrain_workloads.trainer.progress.progress_server import metrics
from pretrain_workloads.trainer.progress.speed import WINDOW, SpeedMeter

LLAMA_8B = ModelSpec(
    layers=32,
    hidden_size=4096,
    ffn_hidden_size=14336,
    attention_heads=32,
    query_groups=8,
)


def test_llama_3_8b_has_its_published_number_of_parameters() -> None:
    assert parameters(LLAMA_8B, 128_256) == 8_030_261_248


def test_tied_embeddings_count_once() -> None:
    tied = LLAMA_8B.model_copy(update={"tie_embeddings": True})
    assert parameters(LLAMA_8B, 1000) - parameters(tied, 1000) == 1000 * 4096


def test_a_token_costs_six_operations_for_each_weight_and_its_attention() -> None:
    matrices = parameters(LLAMA_8B, 0) - 65 * 4096 + 128_256 * 4096
    want = 6 * matrices + 6 * 32 * 8192 * 4096
    assert flops_per_token(LLAMA_8B, 128_256, 8192) == want


def test_speed_is_that_of_the_window() -> None:
    meter = SpeedMeter(tokens_per_step=100, train_iters=1000)
    assert meter.mark(0, 0.0) is None
    for step in range(1, 50):
        meter.mark(step, step * 10.0)
    speed = None
    for step in range(50, 50 + WINDOW + 1):
        speed = meter.mark(step, 490.0 + (step - 49) * 2.0)
    assert speed is not None
    assert speed.tokens_per_second == pytest.approx(50.0)
    assert speed.eta_seconds == pytest.approx((1000 - 70) * 2.0)


def test_a_pause_does_not_count() -> None:
    meter = SpeedMeter(tokens_per_step=10, train_iters=10)
    meter.mark(1, 0.0)
    meter.pause()
    assert meter.mark(1, 100.0) is None
    speed = meter.mark(2, 101.0)
    assert speed is not None
    assert speed.tokens_per_second == 10.0


def test_metrics_leave_out_what_is_unknown() -> None:
    text = metrics(Progress(step=7, loss=1.5)).decode()
    assert "pretrain_step 7.0" in text
    assert "pretrain_loss 1.5" in text
    assert "pretrain_mfu" not in text
