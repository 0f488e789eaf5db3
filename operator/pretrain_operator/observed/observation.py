"""Everything that one reconcile reads, in one value: the input of planning."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pretrain_api.v1alpha1.progress import Progress
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.objects import ListedObjects, ObservedObject
from pretrain_operator.observed.pods import ObservedPod


@dataclass(frozen=True)
class Observation:
    """An object, its children, and what it refers to, as they are now."""

    owner: ObservedObject
    """The object that is reconciled."""
    jobs: tuple[ObservedJob, ...] = ()
    """The Jobs that it controls, with their pods and the reason if pods are missing."""
    pods: tuple[ObservedPod, ...] = ()
    """All its pods: also those of deleted Jobs, and of an earlier object of the same name."""
    related: ListedObjects = field(default_factory=ListedObjects)
    """All ComputeProfiles, and what the object refers to, directly or through other objects."""
    missing_secrets: frozenset[str] = frozenset()
    """Secrets that the object names and that do not exist. Looked up before a Job is created."""
    secret_refusals: Mapping[str, str] = field(default_factory=dict)
    """Why Secrets could not be looked up, by their name."""
    progress: Progress | None = None
    """What rank 0 reports now. `None` if it was not polled, or did not answer."""
    poll_seconds: float = 2.0
    """Seconds between two polls of the progress of a run; more while many runs are polled."""
