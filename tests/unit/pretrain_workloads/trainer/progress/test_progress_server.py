"""Metrics of a run."""

from pretrain_api.v1alpha1.progress import Progress, ValidationLoss
from pretrain_workloads.trainer.progress.progress_server import metrics


def test_metrics_leave_out_unset_fields() -> None:
    text = metrics(Progress(step=7, loss=1.5)).decode()
    assert "pretrain_step 7.0" in text
    assert "pretrain_loss 1.5" in text
    assert "pretrain_mfu" not in text


def test_each_validation_set_has_its_perplexity() -> None:
    losses = [ValidationLoss(name="zh", perplexity=8.5), ValidationLoss(name="en", perplexity=6)]
    text = metrics(Progress(step=7, validation=losses)).decode()
    assert 'pretrain_validation_perplexity{validation_set="zh"} 8.5' in text
    assert 'pretrain_validation_perplexity{validation_set="en"} 6.0' in text
