"""The sequences of a global batch, cut into the micro-batches of each rank.

Which samples a global batch holds does not depend on the parallel sizes.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from megatron.core import parallel_state
from megatron.core.utils import get_batch_on_this_cp_rank
from numpy.typing import NDArray

from pretrain_workloads.trainer.blocks.dataset import LabelledSequence
from pretrain_workloads.trainer.blocks.read_checksum import sample_checksum
from pretrain_workloads.trainer.megatron.forward_backward import MicroBatch
from pretrain_workloads.trainer.megatron.parallel_model import ParallelModel


class Stopwatch:
    """Sums up the time that parts of a program take."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time of the body."""
        began = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - began


@dataclass(frozen=True)
class GlobalBatch:
    """This rank's micro-batches of `size` samples from `first`.

    Every iteration reads the samples anew: the interleaved pipeline schedule takes one iterator for
    each model chunk of a rank, and all of them yield the same micro-batches.
    """

    read: Callable[[int], LabelledSequence]
    """Returns a sample."""
    model: ParallelModel
    """The model that the batch is for."""
    first: int
    """First sample of the batch."""
    size: int
    """Samples of the batch, on all ranks together."""
    end: int
    """Samples from here on do not count; sample `first` is repeated instead."""
    counted: int | None = None
    """Labels of the batch that count in the loss. Unset means all of whole sequences."""
    clock: Stopwatch = field(default_factory=Stopwatch)
    """Measures how long the rank waits for samples."""
    checksums: dict[int, int] = field(default_factory=dict)
    """Checksum of each sample that this rank has read for all that need it."""

    @property
    def count(self) -> int:
        """Return the micro-batches of this rank."""
        return self.model.layout.micro_batches(self.size)

    def __iter__(self) -> Iterator[MicroBatch]:
        """Yield the micro-batches of this rank."""
        size = self.model.layout.micro_batch_size
        start = self.first + parallel_state.get_data_parallel_rank() * self.count * size
        for number in range(self.count):
            samples = range(start + number * size, start + (number + 1) * size)
            with self.clock.running():
                batch = self._read(samples)
            yield batch

    def _read(self, samples: range) -> MicroBatch:
        read = [self.read(sample if sample < self.end else self.first) for sample in samples]
        if self._reads_for_others:
            for sample, one in zip(samples, read, strict=True):
                if sample < self.end:
                    self.checksums[sample] = sample_checksum(sample, one.ids)
        weights = [_weights(one, n < self.end) for one, n in zip(read, samples, strict=True)]
        return _micro_batch(
            torch.from_numpy(np.stack([one.ids for one in read])),
            torch.from_numpy(np.stack(weights)),
            self._share,
            self.model.groups.device,
        )

    @property
    def _reads_for_others(self) -> bool:
        """Return whether this rank is the first of those that read the same samples."""
        places = (
            parallel_state.get_tensor_model_parallel_rank(),
            parallel_state.get_pipeline_model_parallel_rank(),
            parallel_state.get_context_parallel_rank(),
        )
        return not any(places)

    @property
    def _share(self) -> float:
        """Return the labels that count, divided by the micro-batches of all ranks."""
        layout = self.model.layout
        if self.counted is None:
            return layout.micro_batch_size * layout.seq_length
        return max(1, self.counted) / (self.count * layout.data_parallel_size)


def _weights(sample: LabelledSequence, counts: bool) -> NDArray[np.float32]:
    """Return the weight of each label of a sample."""
    length = len(sample.ids) - 1
    if not counts:
        return np.zeros(length, np.float32)
    if sample.counted is None:
        return np.ones(length, np.float32)
    return sample.counted.astype(np.float32)


def _micro_batch(
    ids: torch.Tensor, weights: torch.Tensor, share: float, device: torch.device
) -> MicroBatch:
    batch, length = ids.shape[0], ids.shape[1] - 1
    parts = {
        "tokens": _on_device(ids[:, :-1].contiguous(), device),
        "labels": _on_device(ids[:, 1:].contiguous(), device),
        "position_ids": torch.arange(length, device=device).expand(batch, length),
        "loss_mask": _on_device(weights, device),
    }
    if parallel_state.get_context_parallel_world_size() > 1:
        # Without the group, Megatron-core would divide the sequence over all ranks.
        parts = get_batch_on_this_cp_rank(
            parts, is_hybrid_cp=False, cp_group=parallel_state.get_context_parallel_group()
        )
    return MicroBatch(
        parts["tokens"],
        parts["labels"],
        parts["position_ids"],
        parts["loss_mask"],
        tokens=share,
    )


def _on_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return the tensor on the device, without waiting for what a GPU still computes."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
