"""The device that a run computes on, and what Megatron-core needs before it is imported.

`prepare` is the first thing that a process does which trains. With a CUDA device it only mends the
distributed optimizer where neither Transformer Engine nor Apex is installed.
"""

import importlib.util
import os
import warnings
from dataclasses import dataclass


@dataclass(frozen=True)
class Backend:
    """How the ranks compute and talk to each other."""

    device: str
    """`cuda` or `cpu`."""
    communication: str
    """`nccl` or `gloo`."""


def prepare(device: str) -> Backend:
    """Import torch and Megatron-core so that they work on `device`; return the backend."""
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")  # else kernels are built with a compiler
        from pretrain_workloads.trainer.megatron import cpu_torch

        cpu_torch.patch()
    warnings.filterwarnings("ignore", module=r"megatron\..*")
    warnings.filterwarnings("ignore", module=r"torch\..*", category=FutureWarning)
    import megatron.core  # noqa: F401

    if device == "cpu":
        from pretrain_workloads.trainer.megatron import cpu_megatron

        cpu_megatron.patch()
    if device == "cpu" or not any(map(_is_installed, ("transformer_engine", "apex"))):
        from pretrain_workloads.trainer.megatron import distributed_optimizer

        distributed_optimizer.patch()
    return Backend(device, "nccl" if device == "cuda" else "gloo")


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
