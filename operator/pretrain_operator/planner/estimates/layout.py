"""How a model is spread over devices."""

from dataclasses import dataclass

from pretrain_api.formulas.divisibility import (
    data_parallel_size,
    expert_parallel_size,
    model_parallel_size,
)


@dataclass(frozen=True)
class Layout:
    """Degrees of parallelism, and the layers of each pipeline rank."""

    world_size: int
    """Devices."""
    stages: tuple[int, ...]
    """Layers of each pipeline rank, over all its chunks."""
    tensor: int = 1
    virtual: int = 1
    """Model chunks of each pipeline rank (interleaved schedule)."""
    context: int = 1
    expert: int = 1
    expert_tensor: int = 1
    sequence_parallel: bool = False
    distributed_optimizer: bool = True
    optimizer_copies: int = 1
    """Groups of data-parallel ranks that each hold the whole distributed optimizer."""
    is_fully_sharded: bool = False
    """ZeRO-3 (FSDP): weights, gradients and optimizer over all data-parallel ranks."""

    @property
    def pipeline(self) -> int:
        """Return the pipeline-parallel size."""
        return len(self.stages)

    @property
    def data_parallel(self) -> int:
        """Return the data-parallel size."""
        grid = model_parallel_size(self.tensor, self.pipeline, self.context)
        return data_parallel_size(self.world_size, grid)

    @property
    def expert_data_parallel(self) -> int:
        """Return the data-parallel size of the experts."""
        grid = expert_parallel_size(self.expert_tensor, self.expert, self.pipeline)
        return data_parallel_size(self.world_size, grid)

    @property
    def candidate_ranks(self) -> tuple[int, ...]:
        """Return pipeline ranks among which are the one with most memory and the slowest.

        Of ranks with equally many layers the first keeps most micro-batches; the last rank has the
        logits; and leading layers without experts make the second rank differ from the first.
        """
        first_of = {count: rank for rank, count in reversed(list(enumerate(self.stages)))}
        return tuple(sorted({0, min(1, self.pipeline - 1), *first_of.values(), self.pipeline - 1}))

    @property
    def sequence_split(self) -> int:
        """Return how many devices share activations outside the tensor-parallel regions."""
        return self.tensor if self.sequence_parallel else 1
