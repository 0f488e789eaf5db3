"""What is estimated: a model, its layout over devices, and the work of a step."""

from dataclasses import dataclass
from typing import Literal

Recompute = Literal["none", "selective", "full"]


@dataclass(frozen=True)
class Experts:
    """Feed-forward layers that are a choice of experts."""

    count: int
    top_k: int
    ffn: int
    """Width of one expert."""
    shared_ffn: int = 0
    """Width of the expert that every token passes."""
    dense_layers: int = 0
    """First layers without experts."""


@dataclass(frozen=True)
class Model:
    """A decoder; what our API cannot say has the value of a Llama model by default."""

    layers: int
    hidden: int
    ffn: int
    heads: int
    groups: int
    head_dim: int
    vocabulary: int
    """Rows of the embedding, padding included."""
    is_tied: bool = False
    experts: Experts | None = None
    is_gated: bool = True
    """SwiGLU rather than one plain activation."""
    has_biases: bool = False
    learned_positions: int = 0
    """Rows of a learned position embedding; 0 means rotary positions."""
    has_query_norm: bool = False
    """Whether queries and keys are normalised."""
    hidden_dropout: bool = False
    attention_dropout: bool = False

    @property
    def query_width(self) -> int:
        """Return the width of all query heads."""
        return self.heads * self.head_dim

    @property
    def key_width(self) -> int:
        """Return the width of all key heads, which is that of all value heads."""
        return self.groups * self.head_dim

    @property
    def ffn_matrices(self) -> int:
        """Return the weight matrices of a feed-forward layer."""
        return 3 if self.is_gated else 2

    def has_experts(self, layer: int) -> bool:
        """Return whether a layer, counted from 0, is a choice of experts."""
        return self.experts is not None and layer >= self.experts.dense_layers

    def routed_layers(self, first: int, count: int) -> int:
        """Return how many of `count` layers from `first` on are a choice of experts."""
        if self.experts is None:
            return 0
        return max(0, first + count - max(first, self.experts.dense_layers))


@dataclass(frozen=True)
class Layout:
    """How a model is spread over devices."""

    world: int
    stages: tuple[int, ...]
    """Layers of every pipeline rank, over all its chunks."""
    tensor: int = 1
    virtual: int = 1
    context: int = 1
    expert: int = 1
    expert_tensor: int = 1
    sequence: bool = False
    distributed_optimizer: bool = True
    optimizer_copies: int = 1
    """Groups of data-parallel ranks that each hold the whole distributed optimizer."""
    is_fully_sharded: bool = False
    """ZeRO-3 (FSDP): weights, gradients and optimizer over all data-parallel ranks."""

    @property
    def pipeline(self) -> int:
        """Return the number of pipeline ranks."""
        return len(self.stages)

    @property
    def data(self) -> int:
        """Return the data-parallel size."""
        return self.world // (self.tensor * self.pipeline * self.context)

    @property
    def expert_data(self) -> int:
        """Return the data-parallel size of the experts."""
        return max(1, self.world // (self.expert_tensor * self.expert * self.pipeline))

    @property
    def telling_ranks(self) -> tuple[int, ...]:
        """Return the pipeline ranks among which the fullest and the slowest are.

        Of ranks with equally many layers the first keeps most; the last has the logits, and
        leading dense layers make the second differ from the first.
        """
        first_of = {count: rank for rank, count in reversed(list(enumerate(self.stages)))}
        return tuple(sorted({0, min(1, self.pipeline - 1), *first_of.values(), self.pipeline - 1}))

    @property
    def split(self) -> int:
        """Return over how many devices sequence parallelism splits what tensor does not."""
        return self.tensor if self.sequence else 1


@dataclass(frozen=True)
class Work:
    """An optimizer step."""

    micro_batch: int
    global_batch: int
    sequence: int
    """Tokens of a sequence."""
    recompute: Recompute = "none"
    precision: str = "bf16"
    has_fused_attention: bool = True
    """Whether attention never stores its scores (flash attention)."""
    has_early_attention: bool = False
    """Whether attention kernels are those of 2021 to 2023, of about half today's speed."""
    has_fused_softmax: bool = True
    """Whether attention that stores its scores has a kernel for scale, mask and softmax."""

    def micro_batches(self, data: int) -> int:
        """Return the forward passes of a rank, at a data-parallel size."""
        return max(1, self.global_batch // (self.micro_batch * data))
