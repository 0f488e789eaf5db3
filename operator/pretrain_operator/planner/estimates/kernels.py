"""Time of one layer on one device: matrix products, attention, memory-bound work, collectives."""

from dataclasses import dataclass

from pretrain_api.formulas.model_shapes import ExpertsShape
from pretrain_operator.planner.estimates.constants import COMMON
from pretrain_operator.planner.estimates.planned_run import PlannedRun
from pretrain_operator.planner.estimates.speeds import Speeds

_SCORE_BYTES = 13
"""Memory traffic of a stored attention score, forward: write, softmax, dropout, read."""

_LOGIT_BYTES = 20
"""Memory traffic of a logit in the loss, forward and backward."""


@dataclass(frozen=True)
class LayerTime:
    """Seconds of one micro-batch in one layer, forward."""

    products: float
    attention: float
    elementwise: float
    tensor: float
    """Tensor-parallel collectives."""
    context: float
    """Exchange of keys and values that does not overlap with attention."""
    expert: float
    """All-to-all of tokens between experts."""

    @property
    def forward(self) -> float:
        """Return the forward pass."""
        compute = self.products + self.attention + self.elementwise
        return compute + self.tensor + self.context + self.expert

    def backward(self, overlapped: float) -> float:
        """Return the backward pass; `overlapped` is the hidden fraction of tensor collectives."""
        compute = 2 * self.products + 2.5 * self.attention + 2 * self.elementwise
        exchange = (1 - overlapped) * self.tensor + 2 * self.context + self.expert
        return compute + exchange


def layer_time(run: PlannedRun, speeds: Speeds, has_experts: bool) -> LayerTime:
    """Return the time of one micro-batch in one layer."""
    attention = _attention_seconds(run, speeds)
    experts = run.model.experts if has_experts else None
    products = _projection_seconds(run, speeds)
    if experts is None:
        products += _ffn_seconds(
            run, speeds, run.model.ffn_hidden_size / run.layout.tensor, run.micro_batch_tokens
        )
    else:
        products += _expert_seconds(run, speeds, experts)
    return LayerTime(
        products=products,
        attention=attention,
        elementwise=_elementwise_seconds(run, speeds, experts),
        tensor=_tensor_seconds(run, speeds),
        context=_context_seconds(run, speeds, attention),
        expert=_all_to_all_seconds(run, speeds, experts) if experts else 0.0,
    )


def logits_seconds(run: PlannedRun, speeds: Speeds) -> float:
    """Return the time of output layer and loss, forward and backward; fp8 runs use bf16 here."""
    model, tokens = run.model, run.micro_batch_tokens
    columns = model.padded_vocabulary_size / run.layout.tensor
    precision = "bf16" if run.step.precision == "fp8" else run.step.precision
    products = 3 * speeds.product_seconds(tokens, model.hidden_size, columns, precision)
    return products + _LOGIT_BYTES * tokens * columns / speeds.memory


def _attention_seconds(run: PlannedRun, speeds: Speeds) -> float:
    """Return the forward time of the scores and of their product with the values."""
    model, layout, step, tokens = run.model, run.layout, run.step, run.micro_batch_tokens
    flops = 4 * tokens * step.seq_length * model.query_width / layout.tensor
    rate = speeds.early_attention if step.has_early_attention else speeds.attention
    if step.precision == "fp32":
        rate = speeds.fp32
    if step.has_fused_attention:
        return flops / 2 / rate
    scores = tokens * step.seq_length * model.attention_heads / layout.tensor
    return flops / rate + _SCORE_BYTES * scores / speeds.memory


def _projection_seconds(run: PlannedRun, speeds: Speeds) -> float:
    """Return the forward time of the projections to queries, keys and values, and of the output."""
    model, layout, tokens = run.model, run.layout, run.micro_batch_tokens
    precision = run.step.precision
    inputs = (model.query_width + 2 * model.key_width) / layout.tensor
    outputs = model.query_width / layout.tensor
    into = speeds.product_seconds(tokens, model.hidden_size, inputs, precision)
    return into + speeds.product_seconds(tokens, outputs, model.hidden_size, precision)


def _ffn_seconds(run: PlannedRun, speeds: Speeds, width: float, tokens: float) -> float:
    """Return the forward time of a feed-forward layer of `width` for `tokens`."""
    hidden, precision = run.model.hidden_size, run.step.precision
    columns = width * (run.model.ffn_matrices - 1)
    into = speeds.product_seconds(tokens, hidden, columns, precision)
    return into + speeds.product_seconds(tokens, width, hidden, precision)


def _expert_seconds(run: PlannedRun, speeds: Speeds, experts: ExpertsShape) -> float:
    """Return the forward time of router, routed experts and shared expert."""
    layout, tokens = run.layout, run.micro_batch_tokens
    local = experts.count / layout.expert
    routed = tokens / layout.tensor * layout.expert_tensor * experts.top_k
    width = experts.ffn_hidden_size / layout.expert_tensor
    one = _ffn_seconds(run, speeds, width, routed / local)
    router = speeds.product_seconds(
        tokens / layout.sequence_split, run.model.hidden_size, experts.count, run.step.precision
    )
    shared = 0.0
    if experts.shared_ffn_hidden_size:
        width = experts.shared_ffn_hidden_size / layout.tensor
        shared = _ffn_seconds(run, speeds, width, tokens)
    return local * one + router + shared


def _elementwise_seconds(run: PlannedRun, speeds: Speeds, experts: ExpertsShape | None) -> float:
    """Return the time of norms, residuals, dropout, rotary positions, activation and routing."""
    model, layout = run.model, run.layout
    outside = 20 * model.hidden_size / layout.sequence_split
    heads = 8 * (model.query_width + model.key_width) / layout.tensor
    widths = model.ffn_hidden_size
    if experts is not None:
        widths = experts.top_k * experts.ffn_hidden_size + experts.shared_ffn_hidden_size
        outside += 16 * experts.top_k * model.hidden_size / layout.sequence_split
    inside = 2 * model.ffn_matrices * widths / layout.tensor
    traffic = run.micro_batch_tokens * (outside + heads + inside)
    return COMMON.elementwise * traffic / speeds.memory


def _tensor_seconds(run: PlannedRun, speeds: Speeds) -> float:
    """Return the time of the two all-reduces (or all-gather and reduce-scatter) of a layer."""
    size = run.layout.tensor
    if size == 1:
        return 0.0
    moved = 2 * (size - 1) / size * 2 * run.micro_batch_tokens * run.model.hidden_size
    return 2 * (moved / speeds.link_rate(size) + speeds.collective_seconds)


def _context_seconds(run: PlannedRun, speeds: Speeds, attention: float) -> float:
    """Return the time that passing keys and values round takes beyond that of attention."""
    size, tensor = run.layout.context, run.layout.tensor
    if size == 1:
        return 0.0
    values = (size - 1) * 4 * run.micro_batch_tokens * run.model.key_width / tensor
    moved = values / speeds.link_rate(tensor * size)
    return max(0.0, moved - attention) + speeds.collective_seconds


def _all_to_all_seconds(run: PlannedRun, speeds: Speeds, experts: ExpertsShape) -> float:
    """Return the time of sending tokens to their experts and back."""
    layout, size = run.layout, run.layout.expert
    if size == 1:
        return 0.0
    rate = speeds.link_rate(layout.expert_tensor * size)
    routed = run.micro_batch_tokens / layout.sequence_split * experts.top_k
    moved = routed * run.model.hidden_size * 2 * (size - 1) / size
    return 2 * (moved / rate + speeds.collective_seconds)
