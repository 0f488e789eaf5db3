"""Which kernels a rank computes with, chosen by its device."""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

ATTENTION_KERNELS = [
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]
"""Kernels of attention on a GPU, the fastest first; one that cannot take the tensors is skipped."""


def fused[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Return `function`, compiled into few kernels where its tensors are on a GPU.

    On a CPU it runs as it is written: compiling would need a C++ compiler in the image.
    """
    compiled: Callable[P, R] | None = None

    @functools.wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> R:
        nonlocal compiled
        if not _is_on_gpu(args[0]):
            return function(*args, **options)
        if compiled is None:
            compiled = torch.compile(function)
        return compiled(*args, **options)

    return call


def attention_kernels(device: torch.device) -> AbstractContextManager[Any]:
    """Return a context in which attention on `device` uses the fastest kernel that fits."""
    if device.type != "cuda":
        return nullcontext()
    return sdpa_kernel(ATTENTION_KERNELS, set_priority=True)


def _is_on_gpu(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.is_cuda
