"""Time of one layer on one device: matrix products, attention, memory-bound work, collectives."""

from dataclasses import dataclass

from pretrain_operator.planner.estimates.constants import COMMON
from pretrain_operator.planner.estimates.devices import Speeds
from pretrain_operator.planner.estimates.setup import Experts, Layout, Model, Work

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
    """Exchange of keys and values that attention does not hide."""
    expert: float
    """Exchange of tokens between experts."""

    @property
    def forward(self) -> float:
        """Return the forward pass."""
        compute = self.products + self.attention + self.elementwise
        return compute + self.tensor + self.context + self.expert

    def backward(self, hidden_share: float) -> float:
        """Return the backward pass; `hidden_share` of its tensor collectives is overlapped."""
        compute = 2 * self.products + 2.5 * self.attention + 2 * self.elementwise
        exchange = (1 - hidden_share) * self.tensor + 2 * self.context + self.expert
        return compute + exchange


def product_seconds(rows: float, inner: float, columns: float, speeds: Speeds, work: Work) -> float:
    """Return the time of a matrix product: arithmetic or memory, whichever is slower."""
    width = 4 if work.precision == "fp32" else 2
    traffic = width * (rows * inner + inner * columns + rows * columns)
    if work.precision == "fp8":
        traffic += 3 * (rows * inner + inner * columns)
    arithmetic = 2 * rows * inner * columns / speeds.matrix_rate(work.precision)
    return max(arithmetic, traffic / speeds.memory) + speeds.kernel_seconds


def layer_time(
    model: Model, layout: Layout, work: Work, speeds: Speeds, has_experts: bool
) -> LayerTime:
    """Return the time of one micro-batch in one layer."""
    tokens = work.sequence * work.micro_batch / layout.context
    attention = attention_seconds(model, layout, work, speeds)
    experts = model.experts if has_experts else None
    products = _attention_products(model, layout, work, speeds, tokens)
    if experts is None:
        products += _ffn_seconds(model, model.ffn / layout.tensor, tokens, speeds, work)
    else:
        products += _expert_products(model, experts, layout, work, speeds, tokens)
    return LayerTime(
        products=products,
        attention=attention,
        elementwise=_elementwise_seconds(model, layout, speeds, tokens, experts),
        tensor=_tensor_seconds(model, layout, speeds, tokens),
        context=_context_seconds(model, layout, speeds, tokens, attention),
        expert=_exchange_seconds(model, experts, layout, speeds, tokens) if experts else 0.0,
    )


def attention_seconds(model: Model, layout: Layout, work: Work, speeds: Speeds) -> float:
    """Return the forward time of the scores and their sum of values."""
    tokens = work.sequence * work.micro_batch / layout.context
    flops = 4 * tokens * work.sequence * model.query_width / layout.tensor
    rate = speeds.early_attention if work.has_early_attention else speeds.attention
    if work.precision == "fp32":
        rate = speeds.fp32
    if work.has_fused_attention:
        return flops / 2 / rate
    scores = tokens * work.sequence * model.heads / layout.tensor
    return flops / rate + _SCORE_BYTES * scores / speeds.memory


def logits_seconds(model: Model, layout: Layout, work: Work, speeds: Speeds) -> float:
    """Return the time of output layer and loss, forward and backward."""
    tokens = work.sequence * work.micro_batch / layout.context
    columns = model.vocabulary / layout.tensor
    plain = work if work.precision != "fp8" else Work(**{**vars(work), "precision": "bf16"})
    products = 3 * product_seconds(tokens, model.hidden, columns, speeds, plain)
    return products + _LOGIT_BYTES * tokens * columns / speeds.memory


def _attention_products(
    model: Model, layout: Layout, work: Work, speeds: Speeds, tokens: float
) -> float:
    inputs = (model.query_width + 2 * model.key_width) / layout.tensor
    outputs = model.query_width / layout.tensor
    return product_seconds(tokens, model.hidden, inputs, speeds, work) + product_seconds(
        tokens, outputs, model.hidden, speeds, work
    )


def _ffn_seconds(model: Model, width: float, tokens: float, speeds: Speeds, work: Work) -> float:
    into = width * (model.ffn_matrices - 1)
    return product_seconds(tokens, model.hidden, into, speeds, work) + product_seconds(
        tokens, width, model.hidden, speeds, work
    )


def _expert_products(
    model: Model, experts: Experts, layout: Layout, work: Work, speeds: Speeds, tokens: float
) -> float:
    local = experts.count / layout.expert
    routed = tokens / layout.tensor * layout.expert_tensor * experts.top_k
    width = experts.ffn / layout.expert_tensor
    one = _ffn_seconds(model, width, routed / local, speeds, work)
    router = product_seconds(tokens / layout.split, model.hidden, experts.count, speeds, work)
    shared = 0.0
    if experts.shared_ffn:
        shared = _ffn_seconds(model, experts.shared_ffn / layout.tensor, tokens, speeds, work)
    return local * one + router + shared


def _elementwise_seconds(
    model: Model, layout: Layout, speeds: Speeds, tokens: float, experts: Experts | None
) -> float:
    """Norms, residuals and dropout; rotation; activation; with experts, moving tokens."""
    outside = 20 * model.hidden / layout.split
    heads = 8 * (model.query_width + model.key_width) / layout.tensor
    widths = model.ffn
    if experts is not None:
        widths = experts.top_k * experts.ffn + experts.shared_ffn
        outside += 16 * experts.top_k * model.hidden / layout.split
    inside = 2 * model.ffn_matrices * widths / layout.tensor
    traffic = tokens * (outside + heads + inside)
    return COMMON.elementwise * traffic / speeds.memory


def _tensor_seconds(model: Model, layout: Layout, speeds: Speeds, tokens: float) -> float:
    size = layout.tensor
    if size == 1:
        return 0.0
    rate = speeds.domain if size <= speeds.domain_size else speeds.network
    one = 2 * (size - 1) / size * 2 * tokens * model.hidden / rate + speeds.collective_seconds
    return 2 * one


def _context_seconds(
    model: Model, layout: Layout, speeds: Speeds, tokens: float, attention: float
) -> float:
    size = layout.context
    if size == 1:
        return 0.0
    is_near = layout.tensor * size <= speeds.domain_size
    rate = speeds.domain if is_near else speeds.network
    moved = (size - 1) * 4 * tokens * model.key_width / layout.tensor / rate
    return max(0.0, moved - attention) + speeds.collective_seconds


def _exchange_seconds(
    model: Model, experts: Experts, layout: Layout, speeds: Speeds, tokens: float
) -> float:
    size = layout.expert
    if size == 1:
        return 0.0
    is_near = layout.expert_tensor * size <= speeds.domain_size
    rate = speeds.domain if is_near else speeds.network
    moved = tokens / layout.split * experts.top_k * model.hidden * 2 * (size - 1) / size
    return 2 * (moved / rate + speeds.collective_seconds)
