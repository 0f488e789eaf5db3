"""Every legal layout of a model over a number of devices, and the search for the best."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from pretrain_operator.planner.estimates.devices import Speeds
from pretrain_operator.planner.estimates.memory import fullest_rank
from pretrain_operator.planner.estimates.setup import Layout, Model, Work
from pretrain_operator.planner.estimates.step_time import step_time

_MOST_CONTEXT = 64
_MOST_TENSOR = 64


@dataclass(frozen=True)
class Room:
    """Where a layout has to fit."""

    world: int
    devices_per_node: int
    memory: float | None
    """Largest admitted peak of a device, in bytes. `None` means unknown: everything fits."""
    speeds: Speeds | None
    """`None` means unknown: layouts are ranked by their simplicity."""


@dataclass(frozen=True)
class Candidate:
    """A layout that was estimated."""

    layout: Layout
    work: Work
    counted: bool
    """Whether embedding and loss count as layers in the cut."""
    memory: float
    """Predicted peak of the fullest device, in bytes."""
    seconds: float
    """Predicted time of a step; 0 where the speed is unknown."""

    @property
    def simplicity(self) -> tuple[int, ...]:
        """Return a sort key: fewer devices that share a model first."""
        layout = self.layout
        shared = layout.tensor * layout.pipeline * layout.context
        return (shared, layout.pipeline, layout.context, layout.virtual, layout.expert)


def search(
    model: Model, work: Work, room: Room, distributed_optimizer: bool = True
) -> list[Candidate]:
    """Return the layouts that fit, best first: by predicted time, then the simplest."""
    return list(_search(model, work, room, distributed_optimizer))


@lru_cache(maxsize=256)
def _search(
    model: Model, work: Work, room: Room, distributed_optimizer: bool
) -> tuple[Candidate, ...]:
    # The same question comes again with every reconcile, and with every try of a user.
    fitting = []
    for layout, counted in legal_layouts(model, work, room, distributed_optimizer):
        _, memory = fullest_rank(model, layout, work)
        if room.memory is not None and memory.total > room.memory:
            continue
        seconds = step_time(model, layout, work, room.speeds).total if room.speeds else 0.0
        fitting.append(Candidate(layout, work, counted, memory.total, seconds))
    return tuple(sorted(fitting, key=lambda found: (found.seconds, found.simplicity)))


def legal_layouts(
    model: Model, work: Work, room: Room, distributed_optimizer: bool = True
) -> Iterator[tuple[Layout, bool]]:
    """Yield the layouts that keep every rule, and whether embedding and loss are counted."""
    for tensor in _tensor_sizes(model, room):
        for context in _context_sizes(work, room.world // tensor):
            is_split = tensor > 1 and work.sequence % (tensor * context) == 0
            if model.experts is not None and tensor > 1 and not is_split:
                continue
            for stages, virtual, counted in _cuts(model, room.world // (tensor * context)):
                for expert in _expert_sizes(model, room.world // len(stages)):
                    layout = Layout(
                        room.world,
                        stages,
                        tensor,
                        virtual,
                        context,
                        expert,
                        1,
                        is_split,
                        distributed_optimizer,
                    )
                    if _divides_batch(layout, work):
                        yield layout, counted


def _tensor_sizes(model: Model, room: Room) -> list[int]:
    most = min(room.devices_per_node, _MOST_TENSOR)
    return [
        size
        for size in _divisors(room.world)
        if size <= most
        and model.heads % size == 0
        and (model.groups % size == 0 or size % model.groups == 0)
        and model.ffn % size == 0
        and model.vocabulary % size == 0
        and (model.experts is None or model.experts.shared_ffn % size == 0)
    ]


def _context_sizes(work: Work, ranks: int) -> list[int]:
    sizes = [1]
    while sizes[-1] < _MOST_CONTEXT:
        size = 2 * sizes[-1]
        if ranks % size or work.sequence % (2 * size):
            break
        sizes.append(size)
    return sizes


def _cuts(model: Model, ranks: int) -> Iterator[tuple[tuple[int, ...], int, bool]]:
    """Yield stages, chunks and whether the ends count, for each pipeline that `ranks` fill."""
    for counted in (False, True):
        units = model.layers + 2 * counted
        for pipeline in _divisors(units):
            if ranks % pipeline or (counted and (pipeline == 1 or model.layers % pipeline == 0)):
                continue
            each = units // pipeline
            stages = [each] * pipeline
            stages[0] -= counted
            stages[-1] -= counted
            for virtual in _divisors(each) if pipeline > 1 else [1]:
                yield tuple(stages), virtual, counted


def _expert_sizes(model: Model, ranks: int) -> list[int]:
    if model.experts is None:
        return [1]
    return [size for size in _divisors(model.experts.count) if ranks % size == 0]


def _divides_batch(layout: Layout, work: Work) -> bool:
    step = work.micro_batch * layout.data
    if step == 0 or work.global_batch % step:
        return False
    return layout.virtual == 1 or (work.global_batch // step) % layout.pipeline == 0


def _divisors(number: int) -> list[int]:
    small = [n for n in range(1, int(number**0.5) + 1) if number % n == 0]
    return sorted({*small, *(number // n for n in small)})
