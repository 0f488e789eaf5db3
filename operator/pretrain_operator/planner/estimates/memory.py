"""Peak memory of one device.

Source of the formulas: Korthikanti et al., Reducing Activation Recomputation in Large Transformer
Models (arXiv 2205.05198), extended by grouped queries, gated feed-forward, context parallelism,
experts and the interleaved schedule as Megatron-core runs it.
"""

from dataclasses import dataclass

from pretrain_api.formulas.model_shapes import ExpertsShape
from pretrain_operator.planner.estimates.constants import ADMISSION, MEMORY
from pretrain_operator.planner.estimates.device_parameters import (
    DeviceParameters,
    device_parameters,
)
from pretrain_operator.planner.estimates.planned_run import PlannedRun


@dataclass(frozen=True)
class Memory:
    """Bytes of one device at its peak."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    logits: float
    buffers: float

    @property
    def states(self) -> float:
        """Return the bytes that stay between two steps."""
        return self.weights + self.gradients + self.optimizer

    @property
    def total(self) -> float:
        """Return the sum of all parts."""
        return self.states + self.activations + self.logits + self.buffers


@dataclass(frozen=True)
class _StateBytes:
    """Bytes for each parameter."""

    weights: float
    gradients: float
    optimizer: float


_STATES = {
    "bf16": _StateBytes(2, 4, 12),
    "fp32": _StateBytes(4, 4, 8),
    "fp8": _StateBytes(4, 4, 12),
    "fp16": _StateBytes(2, 2, 16),
}
"""fp8 keeps two 8-bit copies of a weight beside the bf16 one (Transformer Engine); fp16 sums
gradients in 16 bits, and its optimizer copies them to 32."""


def peak_memory(run: PlannedRun, rank: int) -> Memory:
    """Return the memory of one device of a pipeline rank."""
    parameters = device_parameters(run, rank)
    weights, gradients, optimizer = _states(run, parameters)
    is_last = rank == run.layout.pipeline - 1
    return Memory(
        weights,
        gradients,
        optimizer,
        activations=MEMORY.margin * _stage_activations(run, rank),
        logits=MEMORY.margin * _logits(run) if is_last else 0.0,
        buffers=_buffers(run, parameters),
    )


def peak_rank(run: PlannedRun) -> tuple[int, Memory]:
    """Return the pipeline rank that needs most memory, and its memory."""
    memories = [(rank, peak_memory(run, rank)) for rank in run.layout.candidate_ranks]
    return max(memories, key=lambda entry: entry[1].total)


def _states(run: PlannedRun, parameters: DeviceParameters) -> tuple[float, float, float]:
    """Return the bytes of weights, gradients and optimizer."""
    layout, each = run.layout, _STATES[run.step.precision]
    if layout.is_fully_sharded:
        total = parameters.total / layout.world_size
        return each.weights * total, each.gradients * total, each.optimizer * total
    dense_parts = expert_parts = 1
    if layout.distributed_optimizer:
        dense_parts = layout.data_parallel * layout.context // layout.optimizer_copies
        expert_parts = layout.expert_data_parallel // layout.optimizer_copies
    shares = parameters.dense / dense_parts + parameters.expert / expert_parts
    optimizer = each.optimizer * shares
    return each.weights * parameters.total, each.gradients * parameters.total, optimizer


def layer_activations(run: PlannedRun, has_experts: bool) -> float:
    """Return the bytes that one layer keeps of one micro-batch for its backward pass."""
    model, layout, step = run.model, run.layout, run.step
    tokens, width = run.micro_batch_tokens, step.bytes_per_value
    dropout_masks = 2 * model.hidden_size * model.hidden_dropout
    # Inputs and outputs of two norms; a router keeps the output of the second one in any case.
    outputs = 2 if not step.forgets_activations else int(has_experts and model.experts is not None)
    common: float = (2 + outputs) * width * model.hidden_size + dropout_masks
    common /= layout.sequence_split
    normed = 3 if model.has_query_norm else 1
    key_width = max(model.query_groups, layout.tensor) * model.head_dim
    heads = normed * 2 * width * (model.query_width + key_width) / layout.tensor
    kept = tokens * (common + heads)
    if not step.has_fused_attention and step.recompute == "none":
        score_rows = _score_bytes(run) * step.seq_length * tokens
        kept += score_rows * model.attention_heads / layout.tensor
    experts = model.experts
    if experts is None or not has_experts:
        return kept + tokens * _ffn_bytes(run, model.ffn_hidden_size) / layout.tensor
    return kept + _expert_activations(run, experts)


def _score_bytes(run: PlannedRun) -> float:
    """Return the bytes of a stored attention score: softmax and, with dropout, mask and output."""
    extra = 0.0 if run.step.has_fused_softmax else MEMORY.plain_softmax_bytes
    return extra + (5 if run.model.attention_dropout else 4)


def _expert_activations(run: PlannedRun, experts: ExpertsShape) -> float:
    model, layout, width = run.model, run.layout, run.step.bytes_per_value
    routed = run.micro_batch_tokens / layout.sequence_split * experts.top_k
    # Tokens of all devices that share an expert are gathered before it.
    inside: float = width * model.hidden_size
    if run.step.has_upstream_kernels or layout.expert_tensor * layout.expert > 1:
        inside = 2 * width * model.hidden_size * layout.expert_tensor
        inside += MEMORY.dispatch_bytes * model.hidden_size
    kept = routed * (inside + _ffn_bytes(run, experts.ffn_hidden_size))
    if experts.shared_ffn_hidden_size:
        shared = _ffn_bytes(run, experts.shared_ffn_hidden_size)
        kept += run.micro_batch_tokens * shared / layout.tensor
    return kept


def _ffn_bytes(run: PlannedRun, ffn_width: int) -> float:
    """Return the bytes that a feed-forward layer keeps of one token."""
    matrices = 3 if run.model.is_gated else 2
    kept = matrices - 1 if run.step.forgets_activations else matrices
    return kept * run.step.bytes_per_value * ffn_width


def in_flight(run: PlannedRun, rank: int) -> float:
    """Return the micro-batches whose activations a pipeline rank keeps at its peak.

    Source: warm-up of the 1F1B and the interleaved schedule, Megatron-core
    `pipeline_parallel/schedules.py`.
    """
    layout, batches = run.layout, run.micro_batches
    behind = layout.pipeline - rank
    if layout.virtual == 1:
        return min(batches, behind)
    group = _chunk_group(batches, layout.pipeline)
    chunks = 2 * (behind - 1) + (layout.virtual - 1) * group + 1
    return min(chunks, batches * layout.virtual) / layout.virtual


def _chunk_group(batches: int, pipeline: int) -> int:
    """Return the micro-batches that a chunk takes in turn: the fewest that are allowed."""
    for size in range(pipeline, batches + 1):
        if batches % size == 0 or batches % size >= pipeline:
            return size
    return pipeline


def _stage_activations(run: PlannedRun, rank: int) -> float:
    model, layout, tokens = run.model, run.layout, run.micro_batch_tokens
    width = run.step.bytes_per_value
    dense_layers, expert_layers = run.stage_layers(rank)
    dense = layer_activations(run, has_experts=False)
    expert = layer_activations(run, has_experts=True) if expert_layers else 0.0
    of_batch = dense_layers * dense + expert_layers * expert
    working = 0.0
    if run.step.recompute == "full":
        inputs = layout.stages[rank] * width * tokens * model.hidden_size
        of_batch = inputs / layout.sequence_split
        working = max(dense, expert)
    flight = in_flight(run, rank)
    ends = flight * tokens * (8 + model.hidden_size * model.hidden_dropout) if rank == 0 else 0.0
    if rank == layout.pipeline - 1:
        ends += 2 * width * tokens * model.hidden_size / layout.sequence_split
    return of_batch * flight + working + ends


def _logits(run: PlannedRun) -> float:
    each = MEMORY.logit_values * run.step.bytes_per_value
    if run.step.has_upstream_kernels:
        each = MEMORY.upstream_logit_bytes
    return each * run.micro_batch_tokens * run.model.padded_vocabulary_size / run.layout.tensor


def _buffers(run: PlannedRun, parameters: DeviceParameters) -> float:
    if not run.layout.is_fully_sharded:
        return MEMORY.base_bytes
    table = run.model.padded_vocabulary_size * run.model.hidden_size
    largest = max(parameters.dense / max(1, run.layout.stages[0]), table)
    return MEMORY.base_bytes + 4 * largest


def admitted_bytes(memory_bytes: float, has_expandable_segments: bool = True) -> float:
    """Return the largest predicted peak that is admitted on a device with `memory_bytes`."""
    usable = ADMISSION.usable if has_expandable_segments else ADMISSION.usable_fragmented
    return max(0.0, memory_bytes - ADMISSION.context_bytes) * usable
