"""The parallel layout: how model and batch are divided over the ranks. Imported without torch.

A layer is a Llama layer (attention and feed-forward) here; Megatron-core's HybridModel counts the
two halves separately, in a pattern of the symbols `*` (attention), `-` (feed-forward), `E`
(feed-forward with experts) and `|` (a cut between pipeline segments).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from pretrain_api.formulas.divisibility import (
    can_chunk,
    can_interleave,
    can_split_sequence,
    can_split_vocabulary,
    context_multiple,
    data_parallel_size,
    expert_parallel_size,
    micro_batches_of,
    micro_step_size,
    model_parallel_size,
    tensor_split_sizes,
)
from pretrain_api.formulas.model_shapes import ModelShape, model_shape_of
from pretrain_api.formulas.stages import chunk_layers
from pretrain_api.formulas.steps import Steps, steps_of
from pretrain_api.formulas.vocabulary import vocabulary_size_of
from pretrain_api.runs import TrainingRun
from pretrain_api.v1alpha1.model import ModelSpec
from pretrain_workloads.failures import UserError


class InvalidLayout(UserError):
    """The sizes in the spec do not fit each other: names every problem.

    The rules of admission name remedies; an admitted run breaks none of them.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join([*problems, "`kubectl pretrain validate` says what to change"]))
        self.problems = problems


@dataclass(frozen=True)
class ParallelLayout:
    """Sizes of a run and of its parallelism."""

    world_size: int
    tensor_model_parallel_size: int
    pipeline_model_parallel_size: int
    virtual_pipeline_model_parallel_size: int | None
    context_parallel_size: int
    expert_model_parallel_size: int
    expert_tensor_parallel_size: int
    data_parallel_size: int
    sequence_parallel: bool
    micro_batch_size: int
    seq_length: int
    vocabulary_size: int
    """Token ids that may occur."""
    model: ModelShape
    steps: Steps
    """How many sequences each optimizer step takes."""
    pattern: str
    """Layers of all pipeline segments, in the symbols of Megatron-core's HybridModel."""

    @property
    def padded_vocabulary_size(self) -> int:
        """Return the rows of the embedding."""
        return self.model.padded_vocabulary_size

    @property
    def symbols(self) -> int:
        """Return the layers as the model class counts them: two for each Llama layer."""
        return len(self.pattern) - self.pattern.count("|")

    @property
    def expert_layers(self) -> int:
        """Return the layers with experts."""
        return self.pattern.count("E")

    @property
    def global_batch_size(self) -> int:
        """Return the sequences of the first optimizer step."""
        return self.steps.batch_size(0)

    def micro_batches(self, batch_size: int) -> int:
        """Return the micro-batches of one rank in a batch of so many sequences."""
        step = micro_step_size(self.micro_batch_size, self.data_parallel_size)
        return micro_batches_of(batch_size, step)


def plan_layout(run: TrainingRun, vocabulary_size: int) -> ParallelLayout:
    """Return the sizes of `run`, whose tokenizer knows `vocabulary_size` ids.

    Raises:
        InvalidLayout: If the sizes do not divide each other; it lists every problem.
    """
    spec, parallel = run.spec, run.spec.parallelism
    vocabulary = vocabulary_size_of(spec.model.vocabulary_size, vocabulary_size)
    world_size = parallel.nodes * run.processes_per_node
    replica = model_parallel_size(parallel.tensor, parallel.pipeline, parallel.context)
    data_parallel = data_parallel_size(world_size, replica)
    chunks = chunk_layers(parallel, spec.model.layers)
    layout = ParallelLayout(
        world_size=world_size,
        tensor_model_parallel_size=parallel.tensor,
        pipeline_model_parallel_size=parallel.pipeline,
        virtual_pipeline_model_parallel_size=(
            parallel.virtual_pipeline if (parallel.virtual_pipeline or 1) > 1 else None
        ),
        context_parallel_size=parallel.context,
        expert_model_parallel_size=parallel.expert,
        expert_tensor_parallel_size=parallel.expert_tensor_size,
        data_parallel_size=data_parallel,
        sequence_parallel=parallel.sequence and parallel.tensor > 1,
        micro_batch_size=spec.training.micro_batch_size,
        seq_length=spec.training.sequence_length,
        vocabulary_size=vocabulary,
        model=model_shape_of(spec.model, vocabulary),
        steps=steps_of(spec.training),
        pattern=pattern(chunks, spec.model.dense_layers),
    )
    problems = [
        *_world_problems(layout),
        *_batch_problems(layout),
        *_model_problems(spec.model, layout),
        *_tensor_problems(spec.model, layout),
        *_stage_problems(layout),
        *_expert_problems(layout),
        *_length_problems(layout),
        *_vocabulary_problems(spec.model, vocabulary_size),
    ]
    if problems:
        raise InvalidLayout(problems)
    return layout


def pattern(chunks: Sequence[int], dense_layers: int) -> str:
    """Return the layers of all pipeline segments, of which each has so many of `chunks`.

    Layers behind the first `dense_layers` have experts. Megatron-core builds the first segments
    that it needs and silently ignores the others, so there are to be as many chunks as the pipeline
    runs.
    """
    ends = list(accumulate(chunks, initial=0))
    symbols = ["*-" if layer < dense_layers else "*E" for layer in range(ends[-1])]
    return "|".join("".join(symbols[start:end]) for start, end in pairwise(ends))


def _world_problems(layout: ParallelLayout) -> list[str]:
    replica = model_parallel_size(
        layout.tensor_model_parallel_size,
        layout.pipeline_model_parallel_size,
        layout.context_parallel_size,
    )
    if layout.world_size % replica == 0:
        return []
    return [
        f"spec.parallelism: tensor * pipeline * context = {replica} does not divide the "
        f"{layout.world_size} training processes"
    ]


def _batch_problems(layout: ParallelLayout) -> list[str]:
    problems = []
    step = micro_step_size(layout.micro_batch_size, layout.data_parallel_size)
    stages = layout.pipeline_model_parallel_size
    virtual = layout.virtual_pipeline_model_parallel_size or 1
    if not can_chunk(stages, virtual):
        problems.append(f"spec.parallelism.virtualPipeline: {virtual} with pipeline = {stages}")
    for number, phase in enumerate(layout.steps.phases):
        size, micro_batches = phase.batch_size, layout.micro_batches(phase.batch_size)
        field = f"spec.training.{'batchSchedule' if number else 'globalBatchSize'}"
        if size % step:
            problems.append(
                f"{field}: {size} is not a multiple of data-parallel size * microBatchSize = {step}"
            )
        elif can_chunk(stages, virtual) and not can_interleave(micro_batches, stages, virtual):
            problems.append(
                f"{field}: {size} makes {micro_batches} micro-batches of a step, with "
                f"virtualPipeline not a multiple of pipeline = {stages}"
            )
    return problems


def _model_problems(model: ModelSpec, layout: ParallelLayout) -> list[str]:
    problems = []
    heads = model.attention_heads
    if model.hidden_size % heads:
        problems.append(
            f"spec.model.hiddenSize: {model.hidden_size} is not a multiple of attentionHeads = "
            f"{heads}"
        )
    elif model.head_width % 2:
        problems.append(f"spec.model.attentionHeads: {heads} of an odd size, {model.head_width}")
    if heads % model.key_value_heads:
        problems.append(
            f"spec.model.queryGroups: {model.key_value_heads} does not divide attentionHeads = "
            f"{heads}"
        )
    return problems


def _tensor_problems(model: ModelSpec, layout: ParallelLayout) -> list[str]:
    tensor = layout.tensor_model_parallel_size
    # Fewer key-value heads than tensor-parallel ranks cannot be trained yet.
    sizes = {**tensor_split_sizes(layout.model), "queryGroups": model.key_value_heads}
    problems = [
        f"spec.parallelism.tensor: {tensor} does not divide spec.model.{field} = {size}"
        for field, size in sizes.items()
        if size % tensor
    ]
    if not can_split_vocabulary(layout.padded_vocabulary_size, tensor):
        problems.append(
            f"spec.parallelism.tensor: {tensor} does not divide the "
            f"{layout.padded_vocabulary_size} rows of the embedding"
        )
    return problems


def _stage_problems(layout: ParallelLayout) -> list[str]:
    segments, ranks = layout.pattern.split("|"), layout.pipeline_model_parallel_size
    layers = layout.symbols // 2
    wanted = ranks * (layout.virtual_pipeline_model_parallel_size or 1)
    if len(segments) != wanted:
        return [
            f"spec.parallelism.stageLayers: {len(segments)} numbers for pipeline * virtualPipeline "
            f"= {wanted} segments"
        ]
    if layers != layout.model.layers:
        return [
            f"spec.model.layers: {layout.model.layers}, but the {wanted} pipeline segments hold "
            f"{layers}"
        ]
    if layout.model.experts and not all("E" in "".join(segments[n::ranks]) for n in range(ranks)):
        return [
            "spec.model.experts.denseLayers: a pipeline rank has no layer with experts, and could "
            "not be saved with the others"
        ]
    return []


def _expert_problems(layout: ParallelLayout) -> list[str]:
    experts, parallel = layout.model.experts, layout.expert_model_parallel_size
    tensor = layout.expert_tensor_parallel_size
    if experts is None:
        return [f"spec.parallelism.expert: {parallel} without experts"] if parallel > 1 else []
    problems = []
    grid = expert_parallel_size(tensor, parallel, layout.pipeline_model_parallel_size)
    if layout.world_size % grid:
        problems.append(
            f"spec.parallelism: expertTensor * expert * pipeline = {grid} does not divide the "
            f"{layout.world_size} training processes"
        )
    if experts.count % parallel:
        problems.append(
            f"spec.parallelism.expert: {parallel} does not divide spec.model.experts.count = "
            f"{experts.count}"
        )
    if experts.ffn_hidden_size % tensor:
        problems.append(
            f"spec.parallelism.expertTensor: {tensor} does not divide "
            f"spec.model.experts.ffnHiddenSize = {experts.ffn_hidden_size}"
        )
    if experts.top_k > experts.count:
        problems.append(
            f"spec.model.experts.topK: {experts.top_k} is more than count = {experts.count}"
        )
    if layout.tensor_model_parallel_size > 1 and not layout.sequence_parallel:
        problems.append("spec.parallelism.sequence: false with experts and a tensor size above 1")
    return problems


def _length_problems(layout: ParallelLayout) -> list[str]:
    problems = []
    context, length = layout.context_parallel_size, layout.seq_length
    if length % context_multiple(context):
        problems.append(
            f"spec.training.sequenceLength: {length} is not a multiple of 2 * context = "
            f"{context_multiple(context)}"
        )
    tensor = layout.tensor_model_parallel_size
    if layout.sequence_parallel and not can_split_sequence(length, tensor, context):
        problems.append(
            f"spec.training.sequenceLength: {length} is not a multiple of tensor * context = "
            f"{tensor * context}, which spec.parallelism.sequence needs"
        )
    if layout.steps.count < 1:
        problems.append(
            f"spec.training.tokens: less than globalBatchSize * sequenceLength = "
            f"{layout.steps.tokens(1)}"
        )
    return problems


def _vocabulary_problems(model: ModelSpec, tokenizer_size: int) -> list[str]:
    if model.vocabulary_size is None or model.vocabulary_size >= tokenizer_size:
        return []
    return [
        f"spec.model.vocabularySize: {model.vocabulary_size} is less than the tokenizer's "
        f"{tokenizer_size} ids"
    ]
