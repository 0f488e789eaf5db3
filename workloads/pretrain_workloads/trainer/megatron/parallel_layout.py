"""The parallel layout: how model and batch are divided over the ranks. Imported without torch.

A layer is a Llama layer (attention and feed-forward) here; Megatron-core's HybridModel counts the
two halves separately, in a pattern of the symbols `*` (attention), `-` (feed-forward) and `|` (a
cut between pipeline segments).
"""

from dataclasses import dataclass
from itertools import pairwise

from pretrain_api.runs import TrainingRun
from pretrain_api.v1alpha1.model import ModelSpec
from pretrain_workloads.failures import UserError

VOCABULARY_MULTIPLE = 128
"""The embedding has a multiple of this many rows. It does not depend on the parallel sizes, so that
a checkpoint can be loaded under others."""

LAYER = "*-"
"""One Llama layer."""


class InvalidLayout(UserError):
    """The sizes in the spec do not fit each other: names every problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class ParallelLayout:
    """Sizes of a run and of its parallelism."""

    world_size: int
    tensor_model_parallel_size: int
    pipeline_model_parallel_size: int
    virtual_pipeline_model_parallel_size: int | None
    context_parallel_size: int
    data_parallel_size: int
    sequence_parallel: bool
    micro_batch_size: int
    micro_batches: int
    """Micro-batches of one rank in an optimizer step."""
    global_batch_size: int
    seq_length: int
    vocabulary_size: int
    """Token ids that may occur."""
    padded_vocabulary_size: int
    """Rows of the embedding."""
    train_iters: int
    pattern: str
    """Layers of all pipeline segments, in the symbols of Megatron-core's HybridModel."""

    @property
    def symbols(self) -> int:
        """Return the layers as the model class counts them: two for each Llama layer."""
        return self.pattern.count("*") + self.pattern.count("-")

    @property
    def tokens_per_step(self) -> int:
        """Return the tokens of an optimizer step."""
        return self.global_batch_size * self.seq_length


def plan_layout(run: TrainingRun, vocabulary_size: int) -> ParallelLayout:
    """Return the sizes of `run`, whose tokenizer knows `vocabulary_size` ids.

    Raises:
        InvalidLayout: If the sizes do not divide each other; it lists every problem.
    """
    spec, parallel = run.spec, run.spec.parallelism
    vocabulary = spec.model.vocabulary_size or vocabulary_size
    world_size = parallel.nodes * run.processes_per_node
    grid = parallel.tensor * parallel.pipeline * parallel.context
    data_parallel_size = max(1, world_size // grid)
    per_micro_step = spec.training.micro_batch_size * data_parallel_size
    layout = ParallelLayout(
        world_size=world_size,
        tensor_model_parallel_size=parallel.tensor,
        pipeline_model_parallel_size=parallel.pipeline,
        virtual_pipeline_model_parallel_size=(
            parallel.virtual_pipeline if (parallel.virtual_pipeline or 1) > 1 else None
        ),
        context_parallel_size=parallel.context,
        data_parallel_size=data_parallel_size,
        sequence_parallel=parallel.sequence and parallel.tensor > 1,
        micro_batch_size=spec.training.micro_batch_size,
        micro_batches=max(1, spec.training.global_batch_size // per_micro_step),
        global_batch_size=spec.training.global_batch_size,
        seq_length=spec.training.sequence_length,
        vocabulary_size=vocabulary,
        padded_vocabulary_size=-(-vocabulary // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE,
        train_iters=spec.training.train_iters,
        pattern=pattern(
            spec.model.layers, parallel.pipeline * max(1, parallel.virtual_pipeline or 1)
        ),
    )
    problems = [
        *_grid_problems(layout, grid),
        *_model_problems(spec.model, layout),
        *_length_problems(layout),
        *_vocabulary_problems(spec.model, layout, vocabulary_size),
    ]
    if problems:
        raise InvalidLayout(problems)
    return layout


def pattern(layers: int, segments: int) -> str:
    """Return `layers` Llama layers, evenly cut into `segments` pipeline segments.

    Megatron-core builds the first segments that it needs and silently ignores the others, so the
    pattern must have exactly the segments of the pipeline that runs it.
    """
    cuts = [layers * index // segments for index in range(segments + 1)]
    return "|".join(LAYER * (end - start) for start, end in pairwise(cuts))


def divisors(number: int, at_most: int = 64) -> str:
    """Return the divisors of `number` up to `at_most`, as text."""
    return ", ".join(str(n) for n in range(1, min(number, at_most) + 1) if number % n == 0)


def _grid_problems(layout: ParallelLayout, grid: int) -> list[str]:
    problems = []
    if layout.world_size % grid:
        problems.append(
            f"spec.parallelism: tensor * pipeline * context = {grid} does not divide the "
            f"{layout.world_size} training processes (nodes * gpusPerNode); use a multiple of "
            f"{grid} processes"
        )
    step = layout.micro_batch_size * layout.data_parallel_size
    batch = layout.global_batch_size
    if batch % step:
        near = [n for n in (batch // step * step, (batch // step + 1) * step) if n]
        problems.append(
            f"spec.training.globalBatchSize: {batch} is not a multiple of data-parallel size * "
            f"microBatchSize = {step}; use {' or '.join(map(str, near))}"
        )
    virtual, stages = (
        layout.virtual_pipeline_model_parallel_size,
        layout.pipeline_model_parallel_size,
    )
    if virtual and stages == 1:
        problems.append(
            f"spec.parallelism.virtualPipeline: {virtual} needs a pipeline of at least 2; leave "
            "it unset or raise spec.parallelism.pipeline"
        )
    elif virtual and layout.micro_batches % stages:
        problems.append(
            f"spec.parallelism.virtualPipeline: needs the {layout.micro_batches} micro-batches of "
            f"a step to be a multiple of spec.parallelism.pipeline = {stages}; use "
            f"globalBatchSize {step * stages * (layout.micro_batches // stages + 1)}"
        )
    return problems


def _model_problems(model: ModelSpec, layout: ParallelLayout) -> list[str]:
    tensor = layout.tensor_model_parallel_size
    problems = []
    segments = layout.pattern.count("|") + 1
    if model.layers % segments:
        problems.append(
            f"spec.model.layers: {model.layers} is not a multiple of pipeline * virtualPipeline "
            f"= {segments}; use {segments} * n layers or {divisors(model.layers)} segments"
        )
    if model.hidden_size % model.attention_heads:
        problems.append(
            f"spec.model.hiddenSize: {model.hidden_size} is not a multiple of attentionHeads = "
            f"{model.attention_heads}; use {divisors(model.hidden_size)} heads"
        )
    elif (model.hidden_size // model.attention_heads) % 2:
        problems.append(
            f"spec.model.attentionHeads: heads of {model.hidden_size // model.attention_heads} "
            "dimensions have no rotary positions; the size of a head must be even"
        )
    if model.attention_heads % model.key_value_heads:
        problems.append(
            f"spec.model.queryGroups: {model.key_value_heads} does not divide attentionHeads = "
            f"{model.attention_heads}; use {divisors(model.attention_heads)}"
        )
    for field, size in (
        ("attentionHeads", model.attention_heads),
        ("queryGroups", model.key_value_heads),
        ("ffnHiddenSize", model.ffn_hidden_size),
    ):
        if size % tensor:
            problems.append(
                f"spec.parallelism.tensor: {tensor} does not divide spec.model.{field} = {size}; "
                f"use {divisors(size)}"
            )
    return problems


def _length_problems(layout: ParallelLayout) -> list[str]:
    problems = []
    context, length = layout.context_parallel_size, layout.seq_length
    if context > 1 and length % (2 * context):
        problems.append(
            f"spec.training.sequenceLength: {length} is not a multiple of 2 * context = "
            f"{2 * context}"
        )
    tensor = layout.tensor_model_parallel_size
    if layout.sequence_parallel and (length // context) % tensor:
        problems.append(
            f"spec.training.sequenceLength: {length} / context = {length // context} is not a "
            f"multiple of tensor = {tensor}, which spec.parallelism.sequence needs"
        )
    if layout.train_iters < 1:
        problems.append(
            f"spec.training.tokens: is less than one optimizer step; use at least "
            f"{layout.tokens_per_step} (globalBatchSize * sequenceLength)"
        )
    return problems


def _vocabulary_problems(
    model: ModelSpec, layout: ParallelLayout, tokenizer_size: int
) -> list[str]:
    problems = []
    if model.vocabulary_size is not None and model.vocabulary_size < tokenizer_size:
        problems.append(
            f"spec.model.vocabularySize: {model.vocabulary_size} is less than the tokenizer's "
            f"{tokenizer_size} ids; use {tokenizer_size} or more, or leave it unset"
        )
    tensor = layout.tensor_model_parallel_size
    if layout.padded_vocabulary_size % tensor:
        problems.append(
            f"spec.parallelism.tensor: {tensor} does not divide the "
            f"{layout.padded_vocabulary_size} rows of the embedding; use a power of two up to "
            f"{VOCABULARY_MULTIPLE}"
        )
    return problems
