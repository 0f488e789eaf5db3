"""Metrics of a run."""

from pretrain_api.v1alpha1.progress import Progress
from pretrain_workloads.trainer.progress.progress_server import metrics


def test_metrics_leave_out_unset_fields() -> None:
    text = metrics(Progress(step=7, loss=1.5)).decode()
    assert "pretrain_step 7.0" in text
    assert "pretrain_loss 1.5" in text
    assert "pretrain_mfu" not in text
