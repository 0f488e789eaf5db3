"""Patches Megatron-core itself so that it runs on a CPU; applied after its import."""

from collections.abc import Callable
from typing import Any

import megatron.core.distributed.param_and_grad_buffer
import megatron.core.tensor_parallel.mappings
import megatron.core.tensor_parallel.random
import megatron.core.transformer.moe.token_dispatcher
import torch


def patch() -> None:
    """Apply all patches. The second call changes nothing."""
    if getattr(megatron.core, "patched_for_cpu", False):
        return
    megatron.core.patched_for_cpu = True
    random: Any = megatron.core.tensor_parallel.random
    random._get_cuda_rng_state = _random_state
    random._set_cuda_rng_state = _set_random_state
    megatron.core.transformer.moe.token_dispatcher.maybe_move_tensor_to_cpu = _as_numpy
    _patch_uneven_collectives()
    _skip_lone_collectives()


def _patch_uneven_collectives() -> None:
    """Make collectives along the first axis take parts of several sizes, which gloo's do not."""
    mappings: Any = megatron.core.tensor_parallel.mappings
    gather_even, scatter_even = (
        mappings._gather_along_first_dim,
        mappings._reduce_scatter_along_first_dim,
    )

    def gather(part: Any, group: Any, sizes: Any = None, use_global_buffer: bool = False) -> Any:
        if sizes is None or group.size() == 1:
            return gather_even(part, group, None, use_global_buffer)
        padded = part.new_zeros(max(sizes), *part.shape[1:])
        padded[: len(part)] = part
        parts = [torch.empty_like(padded) for _ in sizes]
        torch.distributed.all_gather(parts, padded, group=group)
        return torch.cat([one[:size] for one, size in zip(parts, sizes, strict=True)])

    def scatter(whole: Any, group: Any, sizes: Any = None, use_global_buffer: bool = False) -> Any:
        if sizes is None or group.size() == 1:
            return scatter_even(whole, group, None, use_global_buffer)
        total = whole.clone()
        torch.distributed.all_reduce(total, group=group)
        return torch.split(total, sizes)[group.rank()].clone()

    mappings._gather_along_first_dim = gather
    mappings._reduce_scatter_along_first_dim = scatter


def _skip_lone_collectives() -> None:
    """Leave gradients and weights where they are if a rank has nobody to share them with.

    gloo would copy them in a thread of its own, with OpenMP threads of its own. Once there are more
    of these than cores, none of them spins any more: each small kernel waits for one to wake up.
    """
    buffers: Any = megatron.core.distributed.param_and_grad_buffer

    def unless_alone(collective: Callable[..., Any]) -> Callable[..., Any]:
        def call(output: torch.Tensor, given: torch.Tensor, *args: Any, **options: Any) -> Any:
            if options["group"].size() > 1:
                return collective(output, given, *args, **options)
            assert output.data_ptr() == given.data_ptr()
            return None

        return call

    for name in ("dist_reduce_scatter_func", "dist_all_gather_func"):
        setattr(buffers, name, unless_alone(getattr(buffers, name)))


def _random_state(*args: object, **options: object) -> torch.Tensor:
    return torch.get_rng_state()


def _set_random_state(state: torch.Tensor, *args: object, **options: object) -> None:
    torch.set_rng_state(state)


def _as_numpy(tensor: Any, as_numpy: bool = False, record_stream: bool = False) -> Any:
    """Return the split sizes of an all-to-all as an array, which is what a GPU's become."""
    return tensor.numpy() if as_numpy and torch.is_tensor(tensor) else tensor
