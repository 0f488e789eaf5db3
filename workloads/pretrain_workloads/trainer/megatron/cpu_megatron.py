"""Patches Megatron-core itself so that it runs on a CPU; applied after its import."""

from typing import Any

import megatron.core.tensor_parallel.random
import megatron.core.transformer.moe.token_dispatcher
import torch


def patch() -> None:
    """Apply all patches. The second call changes nothing."""
    random: Any = megatron.core.tensor_parallel.random
    random._get_cuda_rng_state = _random_state
    random._set_cuda_rng_state = _set_random_state
    megatron.core.transformer.moe.token_dispatcher.maybe_move_tensor_to_cpu = _as_list


def _random_state(*args: object, **options: object) -> torch.Tensor:
    return torch.get_rng_state()


def _set_random_state(state: torch.Tensor, *args: object, **options: object) -> None:
    torch.set_rng_state(state)


def _as_list(tensor: Any, as_numpy: bool = False, record_stream: bool = False) -> Any:
    """Return the split sizes of an all-to-all as a list, which gloo needs."""
    return tensor.tolist() if as_numpy and torch.is_tensor(tensor) else tensor
