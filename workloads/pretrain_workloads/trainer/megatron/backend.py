"""Prepares torch and Megatron-core for the device that a run computes on.

`prepare_backend` must run before anything else imports Megatron-core. With CUDA it replaces only
what Megatron-core does slowly, or wrongly, without Transformer Engine and Apex.
"""

import importlib.util
import os
import warnings
from dataclasses import dataclass


@dataclass(frozen=True)
class Backend:
    """How the ranks compute and communicate."""

    device: str
    """`cuda` or `cpu`."""
    communication: str
    """Torch's communication backend: `nccl` or `gloo`."""


def prepare_backend(device: str) -> Backend:
    """Import torch and Megatron-core, patched for `device`, and return the backend."""
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")  # it would need a C++ compiler
        from pretrain_workloads.trainer.megatron import cpu_torch

        cpu_torch.patch()
    warnings.filterwarnings("ignore", module=r"megatron\..*")
    warnings.filterwarnings("ignore", module=r"torch\..*", category=FutureWarning)
    import megatron.core  # noqa: F401

    from pretrain_workloads.trainer.kernels import token_copies, weight_gradients

    token_copies.patch()
    weight_gradients.patch()
    if device == "cpu":
        from pretrain_workloads.trainer.megatron import cpu_megatron

        cpu_megatron.patch()
    if device == "cpu" or not any(map(_is_installed, ("transformer_engine", "apex"))):
        from pretrain_workloads.trainer.megatron import distributed_optimizer

        distributed_optimizer.patch()
    return Backend(device, "nccl" if device == "cuda" else "gloo")


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
