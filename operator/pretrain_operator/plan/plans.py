"""What the plans of all kinds have in common: a state, and actions on the cluster."""

from dataclasses import dataclass, replace
from typing import Self

from pretrain_operator.observed.states import State
from pretrain_operator.plan.data.stage_job import StageJob
from pretrain_operator.plan.runs.attempt_job import AttemptJob


@dataclass(frozen=True)
class JobSize:
    """The parallelism that a Job should have."""

    job: str
    parallelism: int


@dataclass(frozen=True)
class Plan:
    """The actions that are due for an object, and the state to report."""

    state: State
    create: StageJob | AttemptJob | None = None
    """The Job to create, together with its ConfigMap and its Service."""
    resize: JobSize | None = None
    delete: tuple[str, ...] = ()
    """Jobs that are no longer needed."""
    delete_owner: bool = False
    """Whether to delete the object itself: it has finished, and its time to live is over."""
    requeue_after_seconds: float | None = None
    """When to requeue the object although nothing changes. `None` means that the state decides."""

    def blocked(self, state: State) -> Self:
        """Return the plan without the Job to create; `state` says why it cannot be created."""
        return replace(self, state=state, create=None)
