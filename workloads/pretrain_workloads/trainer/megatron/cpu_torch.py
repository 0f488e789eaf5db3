"""What Megatron-core asks of `torch.cuda`, answered on a machine without a GPU.

Megatron-core names the CUDA device in many places. Here each of them gets the CPU instead, before
Megatron-core is imported. None of this runs where the device is CUDA.
"""

import functools
import importlib.util
import sys
import types
from collections.abc import Callable
from typing import Any, Self

import torch

_CPU = torch.device("cpu")
_FACTORIES = ("tensor", "zeros", "ones", "empty", "full", "arange")


def patch() -> None:
    """Answer all of it. Done twice, it changes nothing."""
    if getattr(torch.cuda, "answered_by_cpu", False):
        return
    torch.cuda.answered_by_cpu = True  # type: ignore[attr-defined]
    _stand_in_for_triton()
    _answer_devices()
    _answer_streams()
    _answer_random_states()
    _build_tensors_on_cpu()
    _name_tensor_types()


def _stand_in_for_triton() -> None:
    """Provide the one module that imports triton unguarded; CPU builds of torch do not bring it."""
    name = "megatron.core.transformer.moe.ops.paged_stash"
    if importlib.util.find_spec("triton") is None and name not in sys.modules:
        module: Any = types.ModuleType(name)
        module.GLOBAL_BLOCK_SIZE = 1024
        module.paged_stash_copy_kernel = module.paged_stash_pop_kernel = None
        sys.modules[name] = module


def _answer_devices() -> None:
    torch.cuda.current_device = lambda: _CPU  # type: ignore[assignment, return-value]
    torch.cuda.synchronize = _nothing
    torch.Tensor.cuda = _itself  # type: ignore[method-assign, assignment]


class _Stream:
    """A stream or an event of a device on which everything has already happened."""

    def __init__(self, *args: object, **options: object) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None: ...

    def synchronize(self) -> None:
        """Wait for nothing."""

    def wait_event(self, event: object) -> None:
        """Wait for nothing."""

    def wait_stream(self, stream: object) -> None:
        """Wait for nothing."""

    def wait(self, *args: object) -> None:
        """Wait for nothing."""

    def record(self, *args: object) -> None:
        """Mark nothing."""

    def record_event(self, event: object = None) -> "_Stream":
        """Return an event that has happened."""
        return _Stream()

    def query(self) -> bool:
        """Return that it has happened."""
        return True


def _answer_streams() -> None:
    cuda: Any = torch.cuda
    cuda.Stream = cuda.Event = _Stream
    cuda.current_stream = cuda.stream = _Stream
    torch.Tensor.record_stream = _nothing  # type: ignore[method-assign]


def _answer_random_states() -> None:
    cuda: Any = torch.cuda
    # Not torch.manual_seed: that one seeds CUDA too, and would call itself.
    cuda.manual_seed = torch.default_generator.manual_seed
    cuda.get_rng_state = cuda.random.get_rng_state = lambda device=None: torch.get_rng_state()
    cuda.set_rng_state = cuda.random.set_rng_state = lambda state, device=None: torch.set_rng_state(
        state
    )


def _build_tensors_on_cpu() -> None:
    for name in _FACTORIES:
        setattr(torch, name, _on_cpu(getattr(torch, name)))


def _on_cpu(factory: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    @functools.wraps(factory)
    def build(*args: Any, **options: Any) -> torch.Tensor:
        if str(options.get("device")).startswith("cuda"):
            options["device"] = _CPU
        options.pop("pin_memory", None)
        return factory(*args, **options)

    return build


def _name_tensor_types() -> None:
    """Report `torch.cuda.FloatTensor` for `torch.FloatTensor`: optimizers compare the names."""
    convert = torch.Tensor.type

    def type_(self: torch.Tensor, dtype: Any = None, *args: Any, **options: Any) -> Any:
        if dtype is None:
            return convert(self).replace("torch.", "torch.cuda.", 1)
        return convert(self, dtype, *args, **options)

    torch.Tensor.type = type_  # type: ignore[method-assign, assignment]


def _nothing(*args: object, **options: object) -> None:
    return None


def _itself(tensor: torch.Tensor, *args: object, **options: object) -> torch.Tensor:
    return tensor
