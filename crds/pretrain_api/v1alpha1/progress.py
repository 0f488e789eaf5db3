"""Progress and results of a training run."""

from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.meta import ApiModel, Count
from pretrain_api.v1alpha1.data_status import ArtifactRef


class CheckpointStatus(ApiModel):
    """A durable checkpoint."""

    step: Count
    """Optimizer steps that it holds."""

    tokens: Count = 0
    """Tokens consumed until then."""

    uri: str
    """Its folder."""

    at: str
    """When it was complete, RFC 3339."""

    bytes: Count = 0
    """Its size."""

    seconds: float | None = None
    """How long it took to save."""

    paused_seconds: float | None = None
    """How long training stopped for it. It goes on while the ranks write."""


class Rollback(ApiModel):
    """A return to an earlier checkpoint, after which the run leaves out some of its data."""

    cause: Literal["lossSpike", "notANumber"]
    """What was seen."""

    attempt: Count
    """Number of the attempt that saw it."""

    step: Count
    """Optimizer steps done when it was seen."""

    block: Count
    """Data block that was being read."""

    resume_step: Count
    """Step that the next attempt goes on from."""

    first_sample: Count
    """First sample of the data, in the order of the run, that is not read any more."""

    samples: Count
    """How many samples from there on are not read."""

    at: str
    """When it was seen, RFC 3339."""


class CurvePoint(ApiModel):
    """The loss at one step."""

    step: Count
    """Optimizer step."""

    loss: float
    """Mean cross-entropy of the step's tokens, in nats."""


class ValidationLoss(ApiModel):
    """The loss on one of several validation sets."""

    name: str
    """Its name."""

    perplexity: float
    """Newest perplexity."""

    initial_perplexity: float | None = None
    """Perplexity before the first step."""

    bits_per_byte: float | None = None
    """The newest loss, in bits a byte of text. Unset means that it is not known."""

    initial_bits_per_byte: float | None = None
    """That before the first step, in bits a byte."""


class Progress(ApiModel):
    """Progress of a run, as rank 0 serves it at `/progress`."""

    phase: str = "starting"
    """`starting`, `training`, `evaluating`, `saving` or `exporting`."""

    attempt: Count = 0
    """Number of the attempt."""

    step: Count = 0
    """Optimizer steps done."""

    total_steps: Count = 0
    """Optimizer steps of the run."""

    tokens: Count = 0
    """Tokens consumed."""

    loss: float | None = None
    """Mean cross-entropy of the newest step, in nats."""

    perplexity: float | None = None
    """Newest perplexity on the held-out sequences."""

    bits_per_byte: float | None = None
    """The same loss, in bits a byte of text: comparable between tokenizers. Unset means that the
    dataset does not say how many bytes its held-out tokens stand for."""

    validation: Annotated[list[ValidationLoss], Field(max_length=9)] = []
    """Newest loss of each validation set, if there are several."""

    learning_rate: float | None = None
    """Learning rate of the newest step."""

    gradient_norm: float | None = None
    """Norm of the newest gradient, before clipping."""

    tokens_per_second_per_gpu: float | None = None
    """Speed of one device over the last steps."""

    mfu: float | None = None
    """Model FLOPs utilisation: useful FLOPs over the device's peak. Unset if that is unknown."""

    eta_seconds: float | None = None
    """Estimated time to the end."""

    block: Count = 0
    """Data block that is being read."""

    expert_imbalance: float | None = None
    """How unevenly the newest step's tokens went to the experts: 1 if each got as many, up to
    `count` / `topK` if all went to the same. Unset without experts or `auxiliaryLoss`."""

    data_wait: float | None = None
    """Share of the newest step's time in which rank 0 waited for data."""

    epochs: float | None = None
    """How often the sequences of all blocks were read so far. Beyond 1 they repeat, each time in
    another order."""

    checkpoint: CheckpointStatus | None = None
    """Newest durable checkpoint. Unset means there is none yet."""

    unsound_checkpoints: Annotated[list[Count], Field(max_length=64)] = []
    """Steps of checkpoints that were found damaged and set aside."""

    rollbacks: Annotated[list[Rollback], Field(max_length=16)] = []
    """The newest returns to an earlier checkpoint, because of a spike or a NaN."""

    updated_at: str | None = None
    """When this was measured, RFC 3339."""

    curve: Annotated[list[CurvePoint], Field(max_length=64)] = []
    """Loss at no more than 64 steps, evenly spread over the run so far."""


class Continuation(ApiModel):
    """A prompt, and the text that the trained model generates from it."""

    prompt: str
    """The prompt."""

    text: str
    """The continuation, shortened to 200 characters."""


class TrainingSummary(ApiModel):
    """Results of an attempt."""

    from_step: Count = 0
    """Step that the attempt started from."""

    to_step: Count = 0
    """Last step that it finished."""

    tokens: Count = 0
    """Tokens consumed since the start of the run."""

    epochs: float | None = None
    """How often the sequences of all blocks were read since the start of the run. Beyond 1 they
    were repeated."""

    loss: float | None = None
    """Loss of the last step, in nats."""

    rollbacks: Count = 0
    """How often the run went back to an earlier checkpoint because of a spike or a NaN."""

    initial_perplexity: float | None = None
    """Perplexity on the held-out sequences before the first step."""

    perplexity: float | None = None
    """Perplexity on the held-out sequences at the end."""

    initial_bits_per_byte: float | None = None
    """Bits per byte of held-out text before the first step."""

    bits_per_byte: float | None = None
    """Bits per byte of held-out text at the end."""

    validation: list[ValidationLoss] = []
    """Losses of each validation set, if there are several."""

    parameters: Count = 0
    """Parameters of the model."""

    continuations: list[Continuation] = []
    """Texts that the trained model generates from the prompts."""

    export: ArtifactRef | None = None
    """The exported model."""

    export_logit_difference: float | None = None
    """Largest difference between the logits of the exported model and those of the trained one."""
