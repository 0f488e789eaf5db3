"""How big a model: shapes that given devices can train on given tokens in given days."""

from dataclasses import dataclass
from typing import Any

from pretrain_api.formulas.model_shapes import ModelShape
from pretrain_api.formulas.parameters import total_parameters
from pretrain_api.formulas.vocabulary import padded_vocabulary_size
from pretrain_api.profiles import Device
from pretrain_operator.planner.device_budget import DeviceBudget
from pretrain_operator.planner.estimates.memory import admitted_bytes
from pretrain_operator.planner.estimates.speeds import speeds_of
from pretrain_operator.planner.estimates.step_shape import StepShape
from pretrain_operator.planner.search import Candidate, search

TOKENS_PER_PARAMETER = 20.0
"""Tokens where the request has none: the compute-optimal rule of thumb (arXiv 2203.15556)."""

_ASPECT = 112
"""Width over depth: between Llama 3's 8B (128), 70B (102) and 405B (130), and smaller models."""

_HEAD_DIM = 128
_QUERY_GROUPS = 8
_TOKENS_PER_STEP = (2**19, 2**20, 2**21, 2**22, 2**23, 2**24)
_FEWEST_STEPS = 4000
_MICRO_BATCH_SIZES = (8, 4, 2, 1)


@dataclass(frozen=True)
class SuggestionRequest:
    """The devices, time and tokens that there are to train with."""

    device: Device
    nodes: int
    days: float
    tokens: int | None = None
    """`None` means `TOKENS_PER_PARAMETER` for each parameter."""
    vocabulary_size: int = 128_256
    seq_length: int = 4096


@dataclass(frozen=True)
class Suggestion:
    """A shape, with the layout that trains it."""

    model: ModelShape
    parameters: int
    tokens: int
    days: float
    candidate: Candidate

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON values, in the names of a manifest."""
        model, layout = self.model, self.candidate.layout
        return {
            "parameters": self.parameters,
            "model": {
                "layers": model.layers,
                "hiddenSize": model.hidden_size,
                "ffnHiddenSize": model.ffn_hidden_size,
                "attentionHeads": model.attention_heads,
                "queryGroups": model.query_groups,
            },
            "parallelism": {
                "tensor": layout.tensor,
                "pipeline": layout.pipeline,
                "context": layout.context,
            },
            "tokens": self.tokens,
            "tokensPerParameter": self.tokens / self.parameters,
            "days": self.days,
        }


def shapes(vocabulary_size: int) -> list[ModelShape]:
    """Return well-proportioned Llama shapes, smallest first: every width a multiple of 128."""
    widths = [*range(512, 2048, 256), *range(2048, 8192, 512), *range(8192, 20481, 1024)]
    return [_shape(width, vocabulary_size) for width in widths]


def suggest(request: SuggestionRequest, count: int = 3) -> list[Suggestion]:
    """Return the largest shapes that finish in time, largest first; empty if none does."""
    suggestions: list[Suggestion] = []
    for model in reversed(shapes(request.vocabulary_size)):
        suggestion = _suggestion(model, request)
        if suggestion is not None and suggestion.days <= request.days:
            suggestions.append(suggestion)
            if len(suggestions) == count:
                break
    return suggestions


def _shape(width: int, vocabulary_size: int) -> ModelShape:
    head_dim = _HEAD_DIM if width >= 2048 else 64
    layers = max(8, 4 * round(width / _ASPECT / 4))
    heads = width // head_dim
    return ModelShape(
        layers=layers,
        hidden_size=width,
        ffn_hidden_size=256 * round(width * 7 / 2 / 256),
        attention_heads=heads,
        query_groups=next(n for n in (_QUERY_GROUPS, 4, 2, 1) if heads % n == 0),
        head_dim=head_dim,
        padded_vocabulary_size=padded_vocabulary_size(vocabulary_size),
        is_tied=width < 3072,
    )


def _suggestion(model: ModelShape, request: SuggestionRequest) -> Suggestion | None:
    parameters = total_parameters(model, request.vocabulary_size)
    tokens = request.tokens or round(TOKENS_PER_PARAMETER * parameters)
    device = request.device
    memory = admitted_bytes(device.memory) if device.memory else None
    world_size = request.nodes * device.per_node
    budget = DeviceBudget(
        world_size=world_size,
        devices_per_node=device.per_node,
        memory_bytes=memory,
        speeds=speeds_of(device),
    )
    batch = _global_batch_size(tokens, request.seq_length, world_size)
    for micro_batch_size in _MICRO_BATCH_SIZES:
        if batch % micro_batch_size:
            continue
        candidates = search(model, StepShape(micro_batch_size, batch, request.seq_length), budget)
        if candidates:
            steps = max(1, tokens // (batch * request.seq_length))
            days = steps * candidates[0].seconds / 86_400
            return Suggestion(model, parameters, tokens, days, candidates[0])
    return None


def _global_batch_size(tokens: int, seq_length: int, world_size: int) -> int:
    """Return the sequences of a step: a multiple of the devices, for enough steps."""
    tokens_per_step = next(
        (n for n in reversed(_TOKENS_PER_STEP) if tokens // n >= _FEWEST_STEPS), _TOKENS_PER_STEP[0]
    )
    return max(1, tokens_per_step // seq_length // world_size) * world_size
