"""What a plan has for every kind: the state, and the few actions that carry it out."""

from dataclasses import dataclass, replace
from typing import Self

from pretrain_operator.observed.states import State
from pretrain_operator.plan.data.stage_job import StageJob
from pretrain_operator.plan.runs.attempt_job import AttemptJob


@dataclass(frozen=True)
class JobSize:
    """A Job that has to run with another parallelism."""

    job: str
    parallelism: int


@dataclass(frozen=True)
class Plan:
    """What is done now for an object, and what is reported of it."""

    state: State
    create: StageJob | AttemptJob | None = None
    """The Job to create, with what belongs to it."""
    resize: JobSize | None = None
    delete: tuple[str, ...] = ()
    """Jobs that are no longer needed."""
    delete_owner: bool = False
    """Whether the object itself is deleted: it has finished, and its time to live is over."""
    requeue_after_seconds: float | None = None
    """When to reconcile again although nothing changes. `None` means that the state decides."""

    def blocked(self, state: State) -> Self:
        """Return the plan without its creation, which `state` says the reason of."""
        return replace(self, state=state, create=None)
