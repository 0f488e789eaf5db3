"""AdamW over the ranks, and the learning rate of each step."""

from typing import Any

from megatron.core.distributed import (
    DistributedDataParallel,
    DistributedDataParallelConfig,
    finalize_model_grads,
)
from megatron.core.optimizer import OptimizerConfig, get_megatron_optimizer
from megatron.core.optimizer.clip_grads import clip_grad_by_total_norm_fp32
from megatron.core.transformer import TransformerConfig

from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec


def wrap_model(spec: PretrainJobSpec, config: TransformerConfig, chunks: list[Any]) -> list[Any]:
    """Return the chunks with gradient buffers that are summed over the data-parallel ranks."""
    settings = DistributedDataParallelConfig(
        use_distributed_optimizer=spec.parallelism.distributed_optimizer,
        grad_reduce_in_fp32=True,
        overlap_grad_reduce=True,
    )
    return [
        DistributedDataParallel(config, settings, chunk, disable_bucketing=index > 0)
        for index, chunk in enumerate(chunks)
    ]


def build_optimizer(spec: PretrainJobSpec, config: TransformerConfig, chunks: list[Any]) -> Any:
    """Return the optimizer of the wrapped `chunks`, and set the hooks in `config` for it.

    Megatron-core's pipeline schedule calls the hooks to scale the loss and to sum the gradients.
    """
    given = spec.training.optimizer
    settings = OptimizerConfig(
        optimizer="adam",
        lr=given.learning_rate,
        min_lr=given.min_learning_rate,
        weight_decay=given.weight_decay,
        adam_beta1=given.betas[0],
        adam_beta2=given.betas[1],
        adam_eps=given.epsilon,
        clip_grad=given.gradient_clip,
        bf16=spec.training.precision == "bf16",
        params_dtype=config.params_dtype,
        use_distributed_optimizer=spec.parallelism.distributed_optimizer,
    )
    optimizer = get_megatron_optimizer(settings, chunks, use_gloo_process_groups=False)
    _fuse(optimizer)
    config.finalize_model_grads_func = finalize_model_grads
    config.grad_scale_func = optimizer.scale_loss
    syncs = [chunk.no_sync for chunk in chunks]
    config.no_sync_func = syncs if len(syncs) > 1 else syncs[0]
    return optimizer


def _fuse(optimizer: Any) -> None:
    """Make torch's AdamW read and write each state once a step; other optimizers are fused."""
    for group in optimizer.param_groups:
        if "fused" in group:
            group["fused"] = True


def zero_gradients(chunks: list[Any], optimizer: Any) -> None:
    """Set all gradients to zero before the passes of a step."""
    for chunk in chunks:
        chunk.zero_grad_buffer()
    optimizer.zero_grad()


def set_learning_rate(optimizer: Any, rate: float, weight_decay: float) -> None:
    """Set the learning rate and the weight decay of the next step; norms do not decay."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_mult", 1.0)
        group["weight_decay"] = weight_decay * group.get("wd_mult", 1.0)


def sum_gradients(optimizer: Any) -> float:
    """Collect the gradients of the passes, and return their norm over all ranks."""
    optimizer.prepare_grads()
    return float(optimizer.get_grad_norm())


def clip_and_step(optimizer: Any, norm: float) -> None:
    """Scale the collected gradients, of norm `norm`, down to the limit, and update the weights."""
    limit = optimizer.config.clip_grad
    parameters = optimizer.get_parameters()
    if limit > 0.0 and parameters:
        clip_grad_by_total_norm_fp32(parameters, limit, norm)
    optimizer.step_with_ready_grads()
