"""Peak memory of one device.

Source of the formulas: Korthikanti et al., Reducing Activation Recomputation in Large Transformer
Models (arXiv 2205.05198), extended by grouped queries, gated feed-forward, context parallelism,
experts and the interleaved schedule as Megatron-core runs it.
"""

from dataclasses import dataclass

from pretrain_operator.planner.estimates.constants import ADMISSION, MEMORY
from pretrain_operator.planner.estimates.setup import Experts, Layout, Model, Work
from pretrain_operator.planner.estimates.sizes import Share, share_of_stage


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
        """Return what stays between two steps."""
        return self.weights + self.gradients + self.optimizer

    @property
    def total(self) -> float:
        """Return all of it."""
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


def peak_memory(model: Model, layout: Layout, work: Work, rank: int) -> Memory:
    """Return the memory of one device of a pipeline rank."""
    share = share_of_stage(model, layout, rank)
    weights, gradients, optimizer = _states(share, layout, work)
    is_last = rank == layout.pipeline - 1
    return Memory(
        weights,
        gradients,
        optimizer,
        activations=MEMORY.margin * _stage_activations(model, layout, work, rank),
        logits=MEMORY.margin * _logits(model, layout, work) if is_last else 0.0,
        buffers=_buffers(model, layout, work, share),
    )


def fullest_rank(model: Model, layout: Layout, work: Work) -> tuple[int, Memory]:
    """Return the pipeline rank that needs most, and its memory."""
    memories = [(rank, peak_memory(model, layout, work, rank)) for rank in layout.telling_ranks]
    return max(memories, key=lambda entry: entry[1].total)


def _states(share: Share, layout: Layout, work: Work) -> tuple[float, float, float]:
    each = _STATES[work.precision]
    if layout.is_fully_sharded:
        parts = layout.world
        total = share.total / parts
        return each.weights * total, each.gradients * total, each.optimizer * total
    dense_parts = expert_parts = 1
    if layout.distributed_optimizer:
        dense_parts = layout.data * layout.context // layout.optimizer_copies
        expert_parts = layout.expert_data // layout.optimizer_copies
    optimizer = each.optimizer * (share.dense / dense_parts + share.expert / expert_parts)
    return each.weights * share.total, each.gradients * share.total, optimizer


def layer_activations(model: Model, layout: Layout, work: Work, has_experts: bool) -> float:
    """Return the bytes that one layer keeps of one micro-batch for its backward pass."""
    tokens = work.sequence * work.micro_batch / layout.context
    width = 4 if work.precision == "fp32" else 2
    split = layout.split
    common = (4 * width * model.hidden + 2 * model.hidden * model.hidden_dropout) / split
    normed = 3 if model.has_query_norm else 1
    heads = normed * 2 * width * (model.query_width + _key_share(model, layout)) / layout.tensor
    kept = tokens * (common + heads)
    if not work.has_fused_attention and work.recompute == "none":
        kept += _score_bytes(model, work) * work.sequence * tokens * model.heads / layout.tensor
    experts = model.experts
    if experts is None or not has_experts:
        return kept + tokens * _ffn_bytes(model, width, model.ffn) / layout.tensor
    return kept + _expert_activations(model, experts, layout, tokens, width)


def _score_bytes(model: Model, work: Work) -> float:
    """Bytes of a stored attention score: softmax and, with dropout, its mask and output."""
    extra = 0.0 if work.has_fused_softmax else MEMORY.plain_softmax_bytes
    return extra + (5 if model.attention_dropout else 4)


def _expert_activations(
    model: Model, experts: Experts, layout: Layout, tokens: float, width: int
) -> float:
    routed = tokens / layout.split * experts.top_k
    # Tokens of all devices that share an expert are gathered before it.
    inside: float = 2 * width * model.hidden * layout.expert_tensor
    inside += MEMORY.dispatch_bytes * model.hidden
    kept = routed * (inside + _ffn_bytes(model, width, experts.ffn))
    if experts.shared_ffn:
        kept += tokens * _ffn_bytes(model, width, experts.shared_ffn) / layout.tensor
    return kept


def _ffn_bytes(model: Model, width: int, ffn: int) -> float:
    return (3 if model.is_gated else 2) * width * ffn


def _key_share(model: Model, layout: Layout) -> int:
    return max(model.groups, layout.tensor) * model.head_dim


def in_flight(layout: Layout, work: Work, rank: int) -> float:
    """Return how many micro-batches' worth of its layers a rank keeps at its peak.

    Source: warm-up of the 1F1B and the interleaved schedule, Megatron-core
    `pipeline_parallel/schedules.py`.
    """
    batches = work.micro_batches(layout.data)
    behind = layout.pipeline - rank
    if layout.virtual == 1:
        return min(batches, behind)
    chunks = 2 * (behind - 1) + (layout.virtual - 1) * _group(batches, layout.pipeline) + 1
    return min(chunks, batches * layout.virtual) / layout.virtual


def _group(batches: int, pipeline: int) -> int:
    """Return the micro-batches that a chunk takes in turn: the fewest that are allowed."""
    for size in range(pipeline, batches + 1):
        if batches % size == 0 or batches % size >= pipeline:
            return size
    return pipeline


def _stage_activations(model: Model, layout: Layout, work: Work, rank: int) -> float:
    first = sum(layout.stages[:rank])
    layers = layout.stages[rank]
    routed = model.routed_layers(first, layers)
    plain_bytes = layer_activations(model, layout, work, has_experts=False)
    routed_bytes = layer_activations(model, layout, work, has_experts=True) if routed else 0.0
    tokens = work.sequence * work.micro_batch / layout.context
    width = 4 if work.precision == "fp32" else 2
    of_batch = (layers - routed) * plain_bytes + routed * routed_bytes
    working = 0.0
    if work.recompute == "full":
        of_batch = layers * width * tokens * model.hidden / layout.split
        working = max(plain_bytes, routed_bytes)
    flight = in_flight(layout, work, rank)
    ends = flight * tokens * (8 + model.hidden * model.hidden_dropout) if rank == 0 else 0.0
    if rank == layout.pipeline - 1:
        ends += 2 * width * tokens * model.hidden / layout.split
    return of_batch * flight + working + ends


def _logits(model: Model, layout: Layout, work: Work) -> float:
    tokens = work.sequence * work.micro_batch / layout.context
    return MEMORY.logit_bytes * tokens * model.vocabulary / layout.tensor


def _buffers(model: Model, layout: Layout, work: Work, share: Share) -> float:
    if not layout.is_fully_sharded:
        return MEMORY.base_bytes
    largest = max(share.dense / max(1, layout.stages[0]), model.vocabulary * model.hidden)
    return MEMORY.base_bytes + 4 * largest


def admitted_bytes(memory: float, has_expandable_segments: bool = True) -> float:
    """Return the largest predicted peak that a device of `memory` bytes may be planned for."""
    usable = ADMISSION.usable if has_expandable_segments else ADMISSION.usable_fragmented
    return max(0.0, memory - ADMISSION.context_bytes) * usable
