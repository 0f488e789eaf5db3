"""The search for the best layout of a model over the devices of a run."""

from dataclasses import dataclass
from functools import lru_cache

from pretrain_api.formulas.model_shapes import ModelShape
from pretrain_operator.planner.device_budget import DeviceBudget
from pretrain_operator.planner.estimates.layout import Layout
from pretrain_operator.planner.estimates.memory import peak_rank
from pretrain_operator.planner.estimates.planned_run import PlannedRun
from pretrain_operator.planner.estimates.step_shape import StepShape
from pretrain_operator.planner.estimates.step_time import step_time
from pretrain_operator.planner.legal_layouts import legal_layouts

_CACHED_SEARCHES = 256


@dataclass(frozen=True)
class Candidate:
    """A layout with its estimates."""

    layout: Layout
    step: StepShape
    counts_ends: bool
    """Whether embedding and loss count as layers where the layers are cut into stages."""
    memory_bytes: float
    """Predicted peak of the device that needs most."""
    seconds: float
    """Predicted time of a step; 0 where the speed is unknown."""

    @property
    def simplicity(self) -> tuple[int, ...]:
        """Return a sort key: fewer devices that share a model first."""
        layout = self.layout
        shared = layout.tensor * layout.pipeline * layout.context
        return (shared, layout.pipeline, layout.context, layout.virtual, layout.expert)


@lru_cache(maxsize=_CACHED_SEARCHES)
def search(
    model: ModelShape, step: StepShape, budget: DeviceBudget, distributed_optimizer: bool = True
) -> tuple[Candidate, ...]:
    """Return the layouts that fit, best first: by predicted time, then the simplest."""
    # Every reconcile of a waiting run, and every retry of a user, repeats the same search.
    fitting = []
    for layout, counts_ends in legal_layouts(model, step, budget, distributed_optimizer):
        run = PlannedRun(model, layout, step)
        _, memory = peak_rank(run)
        if budget.memory_bytes is not None and memory.total > budget.memory_bytes:
            continue
        seconds = step_time(run, budget.speeds).total if budget.speeds else 0.0
        fitting.append(Candidate(layout, step, counts_ends, memory.total, seconds))
    return tuple(sorted(fitting, key=lambda candidate: (candidate.seconds, candidate.simplicity)))
