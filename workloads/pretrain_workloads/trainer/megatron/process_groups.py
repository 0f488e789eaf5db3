"""The ranks of a run: this process's rank and device, and what all ranks compute together."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from megatron.core import parallel_state
from megatron.core.tensor_parallel import model_parallel_cuda_manual_seed

from pretrain_api.runs import TrainingRun
from pretrain_workloads.trainer.megatron.backend import Backend
from pretrain_workloads.trainer.megatron.parallel_layout import ParallelLayout

_MARGIN_SECONDS = 60.0
"""Collectives time out so much later than the launcher ends a hang: it can say where ranks are."""


@dataclass(frozen=True)
class ProcessGroups:
    """This rank, and the collectives over all ranks."""

    rank: int
    world_size: int
    local_rank: int
    """Index among the ranks of this pod."""
    processes_per_node: int
    device: torch.device
    on_meeting: Callable[[], None] = lambda: None
    """Called when all ranks have met."""

    def all_reduce(self, *values: float) -> list[float]:
        """Return the sum of each value over all ranks; every rank gets the same."""
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(tensor)
        sums = [float(value) for value in tensor.tolist()]  # waits for the device
        self.on_meeting()
        return sums

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
    run: TrainingRun, backend: Backend, layout: ParallelLayout, on_meeting: Callable[[], None]
) -> ProcessGroups:
    """Connect to the other ranks and initialize Megatron-core's groups and random states."""
    timeout = timedelta(seconds=run.spec.recovery.step_within + _MARGIN_SECONDS)
    local_rank = int(os.environ["LOCAL_RANK"])
    device = torch.device(backend.device)
    if backend.device == "cuda":
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch.distributed.init_process_group(backend.communication, timeout=timeout)
    parallel_state.initialize_model_parallel(
        layout.tensor_model_parallel_size,
        layout.pipeline_model_parallel_size,
        layout.virtual_pipeline_model_parallel_size,
        context_parallel_size=layout.context_parallel_size,
        expert_model_parallel_size=layout.expert_model_parallel_size,
        expert_tensor_parallel_size=layout.expert_tensor_parallel_size,
        create_gloo_process_groups=False,
        distributed_timeout_minutes=timeout / timedelta(minutes=1),
    )
    torch.manual_seed(run.spec.training.seed)
    model_parallel_cuda_manual_seed(run.spec.training.seed)
    return ProcessGroups(
        rank=torch.distributed.get_rank(),
        world_size=torch.distributed.get_world_size(),
        local_rank=local_rank,
        processes_per_node=run.processes_per_node,
        device=device,
        on_meeting=on_meeting,
    )
