"""How big a model: shapes that given devices can train on given tokens in given days."""

from dataclasses import dataclass

from pretrain_api.profiles import Device
from pretrain_operator.planner.estimates.devices import speeds_of
from pretrain_operator.planner.estimates.memory import admitted_bytes
from pretrain_operator.planner.estimates.setup import Model, Work
from pretrain_operator.planner.estimates.sizes import padded_vocabulary, total_parameters
from pretrain_operator.planner.layouts import Candidate, Room, search

TOKENS_PER_PARAMETER = 20.0
"""Where no number of tokens is given: the compute-optimal rule of thumb (arXiv 2203.15556)."""

_ASPECT = 112
"""Width over depth: between Llama 3's 8B (128), 70B (102) and 405B (130), and smaller models."""

_HEAD = 128
_GROUPS = 8
_TOKENS_PER_STEP = (2**19, 2**20, 2**21, 2**22, 2**23, 2**24)
_MICRO_BATCHES = (8, 4, 2, 1)


@dataclass(frozen=True)
class Question:
    """What there is to train with."""

    device: Device
    nodes: int
    days: float
    tokens: int | None = None
    """`None` means `TOKENS_PER_PARAMETER` for each parameter."""
    vocabulary: int = 128_256
    sequence: int = 4096


@dataclass(frozen=True)
class Suggestion:
    """A shape, with the layout that trains it."""

    model: Model
    parameters: int
    tokens: int
    days: float
    candidate: Candidate


def shapes(vocabulary: int) -> list[Model]:
    """Return well-proportioned Llama shapes, smallest first: every width a multiple of 128."""
    widths = [*range(512, 2048, 256), *range(2048, 8192, 512), *range(8192, 20481, 1024)]
    return [_shape(width, vocabulary) for width in widths]


def suggest(question: Question, count: int = 3) -> list[Suggestion]:
    """Return the largest shapes that finish in time, largest first; empty if none does."""
    found: list[Suggestion] = []
    for model in reversed(shapes(question.vocabulary)):
        suggestion = _suggestion(model, question)
        if suggestion is not None and suggestion.days <= question.days:
            found.append(suggestion)
            if len(found) == count:
                break
    return found


def _shape(width: int, vocabulary: int) -> Model:
    head = _HEAD if width >= 2048 else 64
    layers = max(8, 4 * round(width / _ASPECT / 4))
    return Model(
        layers=layers,
        hidden=width,
        ffn=256 * round(width * 7 / 2 / 256),
        heads=width // head,
        groups=_groups(width // head),
        head_dim=head,
        vocabulary=padded_vocabulary(vocabulary, 1),
        is_tied=width < 3072,
    )


def _groups(heads: int) -> int:
    return next(n for n in (_GROUPS, 4, 2, 1) if heads % n == 0)


def _suggestion(model: Model, question: Question) -> Suggestion | None:
    parameters = total_parameters(model, question.vocabulary)
    tokens = question.tokens or round(TOKENS_PER_PARAMETER * parameters)
    device = question.device
    memory = admitted_bytes(device.memory) if device.memory else None
    world = question.nodes * device.per_node
    room = Room(world, device.per_node, memory, speeds_of(device))
    batch = _batch(tokens, question.sequence, world)
    for micro_batch in _MICRO_BATCHES:
        if batch % micro_batch:
            continue
        found = search(model, Work(micro_batch, batch, question.sequence), room)
        if found:
            steps = max(1, tokens // (batch * question.sequence))
            days = steps * found[0].seconds / 86_400
            return Suggestion(model, parameters, tokens, days, found[0])
    return None


def _batch(tokens: int, sequence: int, world: int) -> int:
    """Return sequences of a step: at least 4,000 steps, and a share for every device."""
    size = next((n for n in reversed(_TOKENS_PER_STEP) if tokens // n >= 4000), _TOKENS_PER_STEP[0])
    each = max(1, size // sequence // world)
    return each * world
