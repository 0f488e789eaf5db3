"""A PretrainJob as it is observed: its spec, its last status, its Jobs and related objects."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from pretrain_api.formulas.steps import steps_of
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec, PretrainJobStatus, RunInputs
from pretrain_operator.admission.profiles import choose_profile
from pretrain_operator.observed.annotations import INPUTS_ANNOTATION
from pretrain_operator.observed.errors import DependencyNotReady
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.objects import ListedObjects, ObservedObject
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.pods import ObservedPod
from pretrain_operator.observed.states import Phase, State, last_end, read_status
from pretrain_operator.plan.placement import plan_placement
from pretrain_operator.plan.retry import retry_value

COMPLETE_PHASE = "complete"
"""`progress.phase` of a complete run."""


@dataclass(frozen=True)
class ObservedRun:
    """The input of planning a run."""

    owner: ObservedObject
    spec: PretrainJobSpec
    """With the layout that the planner chose."""
    status: PretrainJobStatus
    jobs: tuple[ObservedJob, ...]
    pods: tuple[ObservedPod, ...]
    """All its pods: also those of deleted Jobs, and of an earlier object of the same name."""
    placement: str | None
    """Digest of the current placement. `None` while there is no usable profile."""
    finished: State | None
    """The final state of the run, according to its last status. `None` until it has ended."""
    inputs: RunInputs | None = None
    """The artifacts that the run is bound to. `None` before its first attempt."""
    profile: ComputeProfileSpec | None = None
    """Its ComputeProfile. `None` while there is no usable one."""
    related: ListedObjects = field(default_factory=ListedObjects)
    """The objects that it refers to."""

    @property
    def has_started(self) -> bool:
        """Return whether it has had an attempt."""
        return bool(self.jobs or self.status.attempts)

    @property
    def is_retried(self) -> bool:
        """Return whether the user has requested a retry of the failed run."""
        attempts = self.status.attempts
        return (
            self.finished is not None
            and self.finished.phase is Phase.FAILED
            and bool(attempts)
            and attempts[-1].retry != retry_value(self.owner)
        )

    @property
    def has_grown(self) -> bool:
        """Return whether the tokens of a complete run were increased since."""
        progress, attempts = self.status.progress, self.status.attempts
        return (
            progress is not None
            and progress.phase == COMPLETE_PHASE
            and bool(attempts)
            and attempts[-1].number == progress.attempt
            and 0 < progress.total_steps < steps_of(self.spec.training).count
        )


def find_profile(
    spec: PretrainJobSpec, namespace: str, related: ListedObjects
) -> ComputeProfileSpec | None:
    """Return the ComputeProfile of a run; `None` while there is no usable one."""
    try:
        return choose_profile(spec.profile_ref, related.all("ComputeProfile"), namespace)
    except DependencyNotReady:
        return None


def read_run(
    observed: Observation, spec: PretrainJobSpec, profile: ComputeProfileSpec | None
) -> ObservedRun:
    """Return the run in `observed`; `spec` has the layout that was admitted."""
    status, devices = read_status(PretrainJobStatus, observed.owner), spec.parallelism.gpus_per_node
    return ObservedRun(
        owner=observed.owner,
        spec=spec,
        status=status,
        jobs=observed.jobs,
        pods=observed.pods,
        placement=plan_placement(profile, "trainer", devices).digest if profile else None,
        finished=last_end_of(observed.owner, status),
        inputs=pinned_inputs(status, observed.jobs),
        profile=profile,
        related=observed.related,
    )


def last_end_of(owner: ObservedObject, status: PretrainJobStatus) -> State | None:
    """Return the final state of the run; a failure no longer counts once the spec is edited."""
    end = last_end(status.conditions)
    is_edited = status.observed_generation != owner.generation
    return None if end and end.phase is Phase.FAILED and is_edited else end


def pinned_inputs(status: PretrainJobStatus, jobs: Sequence[ObservedJob]) -> RunInputs | None:
    """Return the artifacts that the run is bound to: by its status, else by its newest Job."""
    if status.inputs is not None:
        return status.inputs
    for job in sorted(jobs, key=lambda job: -job.attempt):
        text = job.annotations.get(INPUTS_ANNOTATION)
        if text is not None:
            try:
                return RunInputs.model_validate_json(text, extra="ignore")
            except ValidationError:
                continue
    return None
