"""Patches `torch.cuda` so that Megatron-core runs on a CPU; applied before its import.

Megatron-core uses the CUDA device in many places; each gets the CPU instead. None of this runs
with a CUDA device.
"""

import functools
import importlib.util
import os
import sys
import types
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Self

import torch

_CPU = torch.device("cpu")
_FACTORIES = ("tensor", "zeros", "ones", "empty", "empty_like", "full", "arange")


def patch() -> None:
    """Apply all patches. The second call changes nothing."""
    if getattr(torch.cuda, "patched_for_cpu", False):
        return
    torch.cuda.patched_for_cpu = True  # type: ignore[attr-defined]
    _stub_triton_module()
    _patch_devices()
    _patch_streams()
    _patch_random_states()
    _patch_factories()
    _patch_type_names()
    _share_network_thread()


def _stub_triton_module() -> None:
    """Stub the one module that requires triton, which CPU builds of torch do not include."""
    name = "megatron.core.transformer.moe.ops.paged_stash"
    if importlib.util.find_spec("triton") is None and name not in sys.modules:
        module: Any = types.ModuleType(name)
        module.GLOBAL_BLOCK_SIZE = 1024
        module.paged_stash_copy_kernel = module.paged_stash_pop_kernel = None
        sys.modules[name] = module


def _patch_devices() -> None:
    torch.cuda.current_device = lambda: _CPU  # type: ignore[assignment, return-value]
    torch.cuda.synchronize = _nothing
    torch.Tensor.cuda = _itself  # type: ignore[method-assign, assignment]


class _Stream:
    """A CUDA stream or event without a device: all its work is done."""

    def __init__(self, *args: object, **options: object) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None: ...

    def synchronize(self) -> None:
        """Return without waiting."""

    def wait_event(self, event: object) -> None:
        """Return without waiting."""

    def wait_stream(self, stream: object) -> None:
        """Return without waiting."""

    def wait(self, *args: object) -> None:
        """Return without waiting."""

    def record(self, *args: object) -> None:
        """Do nothing."""

    def record_event(self, event: object = None) -> "_Stream":
        """Return an event whose work is done."""
        return _Stream()

    def query(self) -> bool:
        """Return that all work is done."""
        return True


def _patch_streams() -> None:
    cuda: Any = torch.cuda
    cuda.Stream = cuda.Event = _Stream
    cuda.current_stream = cuda.stream = _Stream
    torch.Tensor.record_stream = _nothing  # type: ignore[method-assign]


def _patch_random_states() -> None:
    cuda: Any = torch.cuda
    # Not torch.manual_seed, which calls torch.cuda.manual_seed: it would recurse.
    cuda.manual_seed = torch.default_generator.manual_seed
    cuda.get_rng_state = cuda.random.get_rng_state = lambda device=None: torch.get_rng_state()
    cuda.set_rng_state = cuda.random.set_rng_state = lambda state, device=None: torch.set_rng_state(
        state
    )


def _patch_factories() -> None:
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


def _patch_type_names() -> None:
    """Report `torch.cuda.FloatTensor` for `torch.FloatTensor`: optimizers compare the names."""
    convert = torch.Tensor.type

    def type_(self: torch.Tensor, dtype: Any = None, *args: Any, **options: Any) -> Any:
        if dtype is None:
            return convert(self).replace("torch.", "torch.cuda.", 1)
        return convert(self, dtype, *args, **options)

    torch.Tensor.type = type_  # type: ignore[method-assign, assignment]


def _share_network_thread() -> None:
    """Let one thread serve the connections of all process groups.

    Each group's own would wake a hundred times a second, and Megatron-core makes twenty groups:
    they keep interrupting the threads that compute.
    """
    gloo: Any = torch.distributed.ProcessGroupGloo
    build = gloo.__init__
    devices: list[Any] = []

    def init(
        self: Any, store: Any, rank: int, size: int, timeout: timedelta, **options: object
    ) -> None:
        del options
        if not devices:
            names = os.environ.get("GLOO_SOCKET_IFNAME")  # torch reads it for its own devices only
            interfaces = names.split(",") if names else []
            devices.extend(gloo.create_device(interface=name) for name in interfaces)
            devices.extend([] if interfaces else [gloo.create_default_device()])
        settings = gloo._Options()
        settings._devices, settings._timeout = devices, timeout
        settings._threads = 2 * len(devices)  # as torch does
        build(self, store, rank, size, settings)

    gloo.__init__ = init


def _nothing(*args: object, **options: object) -> None:
    return None


def _itself(tensor: torch.Tensor, *args: object, **options: object) -> torch.Tensor:
    return tensor
