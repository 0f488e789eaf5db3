"""AdamW over the ranks, and the learning rate of each step."""

from typing import Any

from megatron.core.distributed import (
    DistributedDataParallel,
    DistributedDataParallelConfig,
    finalize_model_grads,
)
from megatron.core.optimizer import OptimizerConfig, get_megatron_optimizer
from megatron.core.transformer import TransformerConfig

from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec


def wrap_model(spec: PretrainJobSpec, config: TransformerConfig, chunks: list[Any]) -> list[Any]:
    """Return the chunks with gradient buffers that are summed over the data-parallel ranks."""
    settings = DistributedDataParallelConfig(
        use_distributed_optimizer=spec.parallelism.distributed_optimizer,
        grad_reduce_in_fp32=True,
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
    config.finalize_model_grads_func = finalize_model_grads
    config.grad_scale_func = optimizer.scale_loss
    syncs = [chunk.no_sync for chunk in chunks]
    config.no_sync_func = syncs if len(syncs) > 1 else syncs[0]
    return optimizer


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


def clip_and_step(optimizer: Any) -> float:
    """Clip the gradients, update the weights, and return the gradient norm before clipping."""
    _, norm, _ = optimizer.step()
    return float(norm) if norm is not None else 0.0
