"""This process among all ranks: who it is, and what all agree on."""

import os
from dataclasses import dataclass
from datetime import timedelta

import torch
from megatron.core import parallel_state
from megatron.core.tensor_parallel import model_parallel_cuda_manual_seed

from pretrain_workloads.trainer.megatron.backend import Backend
from pretrain_workloads.trainer.megatron.parallel_layout import Layout

TIMEOUT = timedelta(minutes=10)
"""A collective that takes longer counts as hung."""


@dataclass(frozen=True)
class World:
    """A rank's place."""

    rank: int
    size: int
    local_rank: int
    processes_per_node: int
    device: torch.device

    @property
    def node(self) -> int:
        """Return the number of this rank's pod."""
        return self.rank // self.processes_per_node

    def sum(self, *values: float) -> list[float]:
        """Return the sums of the values of all ranks, the same on each of them."""
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(tensor)
        return [float(value) for value in tensor.tolist()]

    def is_any(self, flag: bool) -> bool:
        """Return whether any rank says so, the same on each of them."""
        return self.sum(float(flag))[0] > 0

    def barrier(self) -> None:
        """Wait for all ranks."""
        self.sum(0.0)


def join_world(backend: Backend, layout: Layout, processes_per_node: int, seed: int) -> World:
    """Meet the other ranks and divide them into Megatron-core's groups."""
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
    return World(
        rank=torch.distributed.get_rank(),
        size=torch.distributed.get_world_size(),
        local_rank=local_rank,
        processes_per_node=processes_per_node,
        device=device,
    )
