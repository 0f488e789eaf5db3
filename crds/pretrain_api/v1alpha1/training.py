"""How a model learns: length, batch, precision, optimizer, learning-rate schedule."""

from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.meta import ApiModel, Fraction, NonNegative
from pretrain_api.quantities import Quantity

Rate = Annotated[float, Field(ge=0.0, le=10.0)]
Recompute = Literal["none", "selective", "full"]


class OptimizerSpec(ApiModel):
    """AdamW."""

    learning_rate: Rate = 3e-4
    """Peak learning rate."""

    min_learning_rate: Rate = 3e-5
    """Learning rate at the end of the decay."""

    betas: Annotated[list[Fraction], Field(min_length=2, max_length=2)] = [0.9, 0.95]
    """Decay rates of the two moments."""

    weight_decay: Annotated[float, Field(ge=0.0, le=10.0)] = 0.1
    """Decoupled weight decay."""

    epsilon: Annotated[float, Field(ge=0.0, le=1.0)] = 1e-8
    """Adam's epsilon."""

    gradient_clip: Annotated[float, Field(ge=0.0)] = 1.0
    """Largest norm of the gradient; 0 means it is not clipped."""


class Warmup(ApiModel):
    """Linear rise of the learning rate from zero."""

    tokens: Quantity = 0
    """Length, in tokens."""


class Decay(ApiModel):
    """Fall of the learning rate after the warm-up."""

    shape: Literal["cosine", "linear", "constant", "wsd"] = "cosine"
    """Curve from the peak to the minimum. `wsd` is flat, then falls over the last tenth: a run may
    grow until the fall begins."""

    tokens: Quantity | None = None
    """Position, in tokens from the start of the run, at which the minimum is reached. Unset means
    the end of the run, or the start of its anneal phase. It may change while the run keeps its
    learning rate: set it to the old `tokens` before a run with a cosine or linear decay grows."""


class Anneal(ApiModel):
    """Last part of the run, in which the learning rate falls to zero."""

    tokens: Quantity
    """Length, in tokens, at the end of the run."""


class BatchStep(ApiModel):
    """A change of the batch size during the run."""

    from_tokens: Quantity
    """Tokens after which this size holds."""

    global_batch_size: Annotated[int, Field(ge=1, le=1_048_576)]
    """Sequences of an optimizer step from then on."""


class LongContext(ApiModel):
    """A phase with longer sequences, after `tokens`."""

    sequence_length: Annotated[int, Field(ge=8, le=16_777_216)]
    """Tokens of a sequence in the phase."""

    tokens: Quantity
    """Length of the phase, in tokens."""

    rope_base: Annotated[int, Field(ge=1, le=2**53)] | None = None
    """Base of the rotary position frequencies in the phase. Unset means unchanged."""

    global_batch_size: Annotated[int, Field(ge=1, le=1_048_576)] | None = None
    """Sequences of an optimizer step in the phase. Unset means unchanged."""


class ScheduleSpec(ApiModel):
    """The learning rate over the run."""

    warmup: Warmup = Warmup()
    """Rise."""

    decay: Decay = Decay()
    """Fall."""

    anneal: Anneal | None = None
    """Final fall to zero. Unset means none."""


class TrainingSpec(ApiModel):
    """How the model learns."""

    tokens: Quantity
    """Length of the run; rounded down to whole optimizer steps."""

    sequence_length: Annotated[int, Field(ge=8, le=16_777_216)]
    """Tokens of a sequence: the dataset's."""

    global_batch_size: Annotated[int, Field(ge=1, le=1_048_576)]
    """Sequences of an optimizer step, over all ranks; the first ones', with a `batchSchedule`."""

    micro_batch_size: Annotated[int, Field(ge=1, le=65536)] = 1
    """Sequences of a forward pass, on one rank."""

    batch_schedule: Annotated[list[BatchStep], Field(min_length=1, max_length=16)] | None = None
    """Later batch sizes, in order; until the first, `globalBatchSize` holds. Unset means none."""

    long_context: LongContext | None = None
    """Phase with longer sequences at the end. Unset means none."""

    precision: Literal["bf16", "fp32", "fp8"] = "bf16"
    """Number format of weights and activations; gradients and optimizer are fp32. `fp8` is bf16
    with matrix products in 8 bits."""

    optimizer: OptimizerSpec = OptimizerSpec()
    """AdamW."""

    schedule: ScheduleSpec = ScheduleSpec()
    """The learning rate over the run."""

    recompute: Recompute = "none"
    """Activations that the backward pass computes again instead of keeping them: none, outputs of
    norms and SwiGLU (`selective`: a third of them, for little time), or all (`full`)."""

    seed: NonNegative = 1234
    """Seed of the initial weights and of the order of sequences within a block."""
