"""The plan of a PretrainJob, computed before anything is created: layout, memory, time."""

from typing import Annotated

from pydantic import Field

from pretrain_api.meta import ApiModel, NonNegative, Positive
from pretrain_api.v1alpha1.parallelism import ParallelismSpec


class MemoryPlan(ApiModel):
    """Predicted peak memory of one device, in bytes, by what it holds."""

    weights: NonNegative
    """Parameters."""

    gradients: NonNegative
    """Main gradients."""

    optimizer: NonNegative
    """Master weights and moments."""

    activations: NonNegative
    """Kept for the backward pass of the micro-batches in flight."""

    logits: NonNegative
    """Logits and their loss, on the last stage."""

    buffers: NonNegative
    """Working space of kernels and collectives."""

    total: NonNegative
    """Sum of all parts: the peak that the allocator reports."""

    limit: NonNegative | None = None
    """Largest total that is admitted: the device's memory less that of CUDA and NCCL, and less
    fragmentation. Unset means that the device's memory is unknown."""


class StagePlan(ApiModel):
    """One pipeline rank."""

    rank: NonNegative
    """Pipeline rank."""

    layers: NonNegative
    """Transformer layers, over all its model chunks."""

    parameters: NonNegative
    """Parameters on one device."""

    memory: MemoryPlan
    """Predicted memory of one device."""


class LayoutPlan(ApiModel):
    """A layout that the planner compared."""

    parallelism: ParallelismSpec
    """Its degrees."""

    micro_batch_size: Positive
    """Sequences of a forward pass."""

    recompute: str
    """Activations that the backward pass computes again: `none`, `selective` or `full`."""

    memory_per_gpu: NonNegative
    """Predicted memory of the device that needs most, in bytes."""

    step_seconds: float
    """Predicted time of an optimizer step."""


class PlanStatus(ApiModel):
    """Devices, layout, memory and time of the run, as planned."""

    world_size: Positive
    """Devices."""

    data_parallel: Positive
    """Data-parallel size."""

    expert_data_parallel: Positive | None = None
    """Data-parallel size of the experts. Unset for a dense model."""

    micro_batches: Positive
    """Forward passes of a rank in an optimizer step."""

    steps: NonNegative
    """Optimizer steps of the run."""

    tokens_per_step: Positive
    """Tokens of an optimizer step."""

    parameters: Positive
    """Parameters of the model, embeddings included, padding of the vocabulary not."""

    active_parameters: Positive
    """Parameters that a token uses; fewer than `parameters` with experts only."""

    padded_vocabulary_size: Positive
    """Rows of the embedding after padding."""

    parallelism: ParallelismSpec
    """Degrees that the run uses: the manifest's, or the planner's choice."""

    micro_batch_size: Positive
    """Sequences of a forward pass."""

    memory_per_gpu: MemoryPlan
    """Predicted memory of the device that needs most."""

    stages: list[StagePlan] = []
    """Every pipeline rank."""

    predicted_step_seconds: float | None = None
    """Predicted time of an optimizer step. Unset means that the device's speed is unknown."""

    predicted_step_seconds_low: float | None = None
    """Lower end of the interval that holds four of five measured runs."""

    predicted_step_seconds_high: float | None = None
    """Upper end of that interval."""

    predicted_tokens_per_second: float | None = None
    """Predicted speed of the whole run."""

    predicted_mfu: float | None = None
    """Predicted model FLOPs utilisation: causal attention, recomputation not counted."""

    days: float | None = None
    """Predicted days of computing, without restarts."""

    checkpoint_bytes: NonNegative = 0
    """Size of one checkpoint."""

    candidates: Annotated[list[LayoutPlan], Field(max_length=5)] = []
    """Best layouts, best first. Empty where the manifest sets the degrees."""

    warnings: list[str] = []
    """Warnings: what is allowed, but probably a mistake."""
