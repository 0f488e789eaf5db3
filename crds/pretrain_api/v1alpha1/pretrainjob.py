"""PretrainJob: one Megatron-core pretraining run."""

from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.conditions import Condition
from pretrain_api.meta import ApiModel, Location, NonNegative, Positive, Reference
from pretrain_api.quantities import Duration
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.model import ModelSpec
from pretrain_api.v1alpha1.parallelism import ParallelismSpec
from pretrain_api.v1alpha1.plan import PlanStatus
from pretrain_api.v1alpha1.progress import CheckpointStatus, Progress, TrainingSummary
from pretrain_api.v1alpha1.training import TrainingSpec

MAX_AVOIDED = 16
"""Most nodes that an attempt avoids."""


class DataSpec(ApiModel):
    """Training data."""

    dataset_ref: Reference
    """TokenDataset whose blocks are read."""


class HuggingFaceModel(Location):
    """A Hugging Face folder of a Llama, Mistral, Qwen2 or Qwen3 with safetensors, such as the
    export of another run."""


class InitializeSpec(ApiModel):
    """What the weights are at step 0."""

    hugging_face: HuggingFaceModel | None = None
    """Model whose weights the run starts from: continual pretraining. It has the shape of `model`;
    ids that it lacks start with the mean of its embeddings. Unset means random weights."""


class CheckpointInterval(ApiModel):
    """How often a checkpoint is saved: after `steps` or `minutes`, whichever comes first."""

    steps: Positive | None = 1000
    """Optimizer steps between two checkpoints. Unset means only `minutes` counts."""

    minutes: Positive | None = None
    """Minutes between two checkpoints. Unset means only `steps` counts."""


class CheckpointRetention(ApiModel):
    """Which checkpoints are kept."""

    last: Annotated[int, Field(ge=1, le=1000)] = 3
    """How many of the newest are kept."""

    every_steps: Positive | None = None
    """Checkpoints at multiples of this many steps are kept for ever. Unset means none."""


class CheckpointSpec(Location):
    """Where and when the run is saved, below `<uri>/pretrainjob-<name>/<digest>/`."""

    every: CheckpointInterval = CheckpointInterval()
    """How often."""

    keep: CheckpointRetention = CheckpointRetention()
    """Which ones are kept."""

    grace_period: Annotated[Duration, Field(ge=30, le=86400)] = 120
    """How long pods may take to save and end when their node asks them to; holds from the next
    attempt on. A save needs the time to write a node's share."""


class RestartBudget(ApiModel):
    """How often one cause may end an attempt before the run fails."""

    max: Annotated[int, Field(ge=0, le=1000)] = 20
    """Attempts that may end with this cause."""

    window: Duration | None = None
    """Only ends within this time count. Unset means all count."""


class InfrastructureBudget(RestartBudget):
    """How often the infrastructure may end an attempt before the run fails."""

    window: Duration | None = 86400
    """Only ends within this time count."""


class UserBudget(RestartBudget):
    """How often the program or the data may end an attempt before the run fails."""

    max: Annotated[int, Field(ge=0, le=1000)] = 2
    """Attempts that may end with this cause."""


class RollbackBudget(RestartBudget):
    """How often a spike or a NaN may end an attempt before the run fails."""

    max: Annotated[int, Field(ge=0, le=1000)] = 3
    """Attempts that may end with this cause."""


class Budgets(ApiModel):
    """Restart budgets by cause; preemptions are never charged. Each field has its own default:
    whoever writes one of a budget keeps the others."""

    infrastructure: InfrastructureBudget = InfrastructureBudget()
    """Lost nodes and pods, network, storage."""

    user: UserBudget = UserBudget()
    """Errors of the program or of the data that a restart may fix."""

    rollback: RollbackBudget = RollbackBudget()
    """Spikes of the loss, and losses or gradients that are not a number. Each costs the run some of
    its data; 0 fails the run at the first."""


class LossSpike(ApiModel):
    """When the loss spikes, and what happens then.

    A step is suspicious if its loss or the norm of its gradient lies `sigma` robust standard
    deviations above the median of the window, and a tenth (the norm: twice the median) above it;
    three in a row are a spike. Nothing is judged during the warm-up."""

    action: Literal["rollback", "warn"] = "rollback"
    """`rollback` ends the attempt: the next one goes on from a checkpoint before the spike and
    leaves out the data that led to it. `warn` writes it to the log only."""

    sigma: Annotated[float, Field(ge=3.0, le=1000.0)] = 6.0
    """Robust standard deviations (1.4826 median absolute deviations)."""

    window: Annotated[int, Field(ge=16, le=1024)] = 128
    """Steps that a step is compared with."""


class AvoidNodes(ApiModel):
    """Nodes on which pods of a run were lost or killed again and again."""

    after_failures: Annotated[int, Field(ge=1, le=100)] = 2
    """Ends of attempts that a node is to blame for, before the next attempts avoid it."""

    for_hours: Annotated[int, Field(ge=1, le=720)] = 24
    """How long such an end counts."""


class RecoverySpec(ApiModel):
    """When an attempt has failed, and what happens then."""

    budgets: Budgets = Budgets()
    """How often attempts may end early. Restarts back off whatever the cause: from the second end
    within ten minutes on, the next attempt waits 2, 4, 8, … up to 60 seconds."""

    start_within: Annotated[Duration, Field(ge=10, le=86400)] = 600
    """Longest time until all pods of an attempt have met. Beyond it, the attempt ends and names
    those that are missing."""

    step_within: Annotated[Duration, Field(ge=10, le=86400)] = 600
    """Longest time in which the ranks get no further: no step, no batch of an evaluation, no part
    of a checkpoint. Beyond it, the attempt ends as a hang, and says where each rank is."""

    avoid_nodes: AvoidNodes = AvoidNodes()
    """Which nodes the pods of the next attempt avoid, as far as there is room on others."""

    loss_spike: LossSpike = LossSpike()
    """When the loss spikes, and what happens then."""

    skip_steps: Annotated[int, Field(ge=1, le=100_000)] = 100
    """How many steps' data a rollback leaves out, up to the spike or the NaN: no more than were
    made since the checkpoint that it goes back to."""


class EvaluationSpec(ApiModel):
    """What is measured during training."""

    every_steps: Positive | None = None
    """Optimizer steps between two evaluations. Unset means only at the start and at the end."""

    perplexity: bool = True
    """Whether perplexity on the dataset's held-out sequences is measured."""

    prompts: Annotated[list[Annotated[str, Field(max_length=2048)]], Field(max_length=32)] = []
    """Texts that the trained model continues at the end."""

    max_new_tokens: Annotated[int, Field(ge=1, le=1024)] = 32
    """Tokens of a continuation."""

    temperature: Annotated[float, Field(ge=0.0, le=2.0)] = 0.8
    """What logits are divided by to draw the next token among the likeliest, without repeating
    three tokens. 0 always takes the likeliest, which small models repeat without end."""


class HuggingFaceExport(Location):
    """The model as a Hugging Face folder (`LlamaForCausalLM`, with `qkvBias` `Qwen2ForCausalLM`,
    with `qkNorm` `Qwen3ForCausalLM`), below `<uri>/pretrainjob-<name>/<digest>/`."""


class ExportSpec(ApiModel):
    """What is written when the run is complete."""

    hugging_face: HuggingFaceExport | None = None
    """Safetensors, configuration and tokenizer. Unset means no export."""


class PretrainJobSpec(ApiModel):
    """One Megatron-core run on the blocks of a TokenDataset."""

    profile_ref: Reference | None = None
    """ComputeProfile of the pods. Unset means the cluster's default."""

    model: ModelSpec
    """Shape of the model."""

    initialize: InitializeSpec = InitializeSpec()
    """What the weights are at step 0."""

    data: DataSpec
    """Training data."""

    parallelism: ParallelismSpec = ParallelismSpec()
    """How the model is spread over devices."""

    training: TrainingSpec
    """Length, batch, optimizer and schedule."""

    checkpoint: CheckpointSpec
    """Where and when checkpoints are saved."""

    recovery: RecoverySpec = RecoverySpec()
    """What happens when an attempt ends before the run is complete."""

    evaluation: EvaluationSpec = EvaluationSpec()
    """What is measured during training."""

    export: ExportSpec = ExportSpec()
    """What is exported at the end."""

    suspend: bool | None = None
    """Whether the run is suspended: pods end after a checkpoint, and none start. With a queue
    label, Kueue owns the field."""

    ttl_after_finished: Duration | None = None
    """How long the finished object stays before it is deleted. Unset means for ever."""


class AttemptCause(ApiModel):
    """Why an attempt ends, as it was first seen: its pods may be gone before its Job has ended."""

    reason: str
    """Class of the end (`preempted`, `infrastructure`, …)."""

    message: Annotated[str, Field(max_length=1024)] = ""
    """One sentence: the pod, and what has happened to it."""

    node: str | None = None
    """The node that is to blame. Unset means that none is."""


class AttemptStatus(ApiModel):
    """One attempt: one Indexed Job."""

    number: NonNegative
    """Its number, counted from 1; never goes backwards."""

    job: str
    """Name of its Job."""

    reason: str | None = None
    """Cause of its end (`complete`, `infrastructure`, …). Unset means it runs."""

    message: str = ""
    """Message of its exit report."""

    cause: AttemptCause | None = None
    """Why it ends. Unset before, and once `reason` says it."""

    node: str | None = None
    """The node that is to blame for its end: a pod was lost or killed there."""

    avoids: Annotated[list[str], Field(max_length=MAX_AVOIDED)] = []
    """Nodes that its pods avoid: too many attempts were lost there."""

    started_at: str | None = None
    """When it started, RFC 3339."""

    ended_at: str | None = None
    """When it ended, RFC 3339."""

    from_step: NonNegative | None = None
    """Step that it started from."""

    to_step: NonNegative | None = None
    """Last step that it finished."""

    lost_steps: NonNegative | None = None
    """Steps after the last checkpoint, which the next attempt has to repeat."""

    retry: str | None = None
    """Value of the annotation `pretrain.dev/retry` when it started."""


class Goodput(ApiModel):
    """How much of a run's time was spent on steps that count, over the attempts of its status."""

    share: Annotated[float, Field(ge=0, le=1)]
    """Time of the steps that count, at the last measured speed, over all time since the first of
    these attempts started."""

    lost_seconds: dict[str, NonNegative] = {}
    """The rest of the time by its cause: the reason for which an attempt ended (its start, the
    steps that it lost, and the time until the next one), and `overhead`: start, evaluations,
    checkpoints and export of the attempt that runs or has completed the run."""


class RunInputs(ApiModel):
    """Artifacts that the run reads, pinned when its first attempt starts."""

    dataset: ArtifactRef
    """Token blocks."""

    tokenizer: ArtifactRef
    """Tokenizer."""

    digest: str
    """Digest of the inputs and of the spec without the fields that may change during a run."""


class PretrainJobStatus(ApiModel):
    """Observed state of a run."""

    observed_generation: int | None = None
    """`metadata.generation` that this status was computed from."""

    phase: str = "Pending"
    """One word for people; machines read the conditions."""

    message: str = ""
    """One sentence for people: what happens now, or what to change."""

    conditions: list[Condition] = []
    """kstatus conditions and our own."""

    plan: PlanStatus | None = None
    """What the run needs and how long it takes, computed before anything is created."""

    progress: Progress | None = None
    """Progress of the run, as rank 0 last reported it."""

    checkpoint: CheckpointStatus | None = None
    """Newest durable checkpoint."""

    attempts: list[AttemptStatus] = []
    """Newest attempts, oldest first: 20, and as many before them as the restart budgets count."""

    goodput: Goodput | None = None
    """How much of the time was spent on steps that count. Unset before the speed is known."""

    inputs: RunInputs | None = None
    """Artifacts that the run reads."""

    summary: TrainingSummary | None = None
    """Results of the finished run."""

    export: ArtifactRef | None = None
    """The exported model."""
