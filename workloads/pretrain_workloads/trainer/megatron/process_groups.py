"""The ranks of a run: this process's rank and device, and what all ranks compute together."""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from megatron.core import parallel_state
from megatron.core.tensor_parallel import model_parallel_cuda_manual_seed

from pretrain_workloads.trainer.megatron.backend import Backend
from pretrain_workloads.trainer.megatron.parallel_layout import ParallelLayout

TIMEOUT = timedelta(minutes=10)
"""A collective that takes longer is a hang."""


@dataclass(frozen=True)
class ProcessGroups:
    """This rank, and the collectives over all ranks."""

    rank: int
    world_size: int
    local_rank: int
    """Index among the ranks of this pod."""
    processes_per_node: int
    device: torch.device

    def all_reduce(self, *values: float) -> list[float]:
        """Return the sum of each value over all ranks; every rank gets the same."""
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(tensor)
        return [float(value) for value in tensor.tolist()]

    def is_any(self, flag: bool) -> bool:
        """Return whether `flag` is set on any rank; every rank gets the same."""
        return self.all_reduce(float(flag))[0] > 0

    def all_gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks, in their order; every rank gets the same."""
        values: list[Any] = [None] * self.world_size
        torch.distributed.all_gather_object(values, value)
        return values

    def broadcast(self, value: Any) -> Any:
        """Return rank 0's value on every rank."""
        values = [value]
        torch.distributed.broadcast_object_list(values, src=0)
        return values[0]

    def barrier(self) -> None:
        """Wait for all ranks."""
        self.all_reduce(0.0)


def init_process_groups(
    backend: Backend, layout: ParallelLayout, processes_per_node: int, seed: int
) -> ProcessGroups:
    """Connect to the other ranks and initialize Megatron-core's groups and random states."""
    local_rank = int(os.environ["LOCAL_RANK"])
    device = torch.device(backend.device)
    if backend.device == "cuda":
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch.distributed.init_process_group(backend.communication, timeout=TIMEOUT)
    parallel_state.initialize_model_parallel(
        layout.tensor_model_parallel_size,
        layout.pipeline_model_parallel_size,
        layout.virtual_pipeline_model_parallel_size,
        context_parallel_size=layout.context_parallel_size,
        create_gloo_process_groups=False,
    )
    torch.manual_seed(seed)
    model_parallel_cuda_manual_seed(seed)
    return ProcessGroups(
        rank=torch.distributed.get_rank(),
        world_size=torch.distributed.get_world_size(),
        local_rank=local_rank,
        processes_per_node=processes_per_node,
        device=device,
    )
