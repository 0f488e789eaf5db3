"""Whether the artifacts that an object is made from are ready, and if not, what it waits for."""

from pydantic import ValidationError

from pretrain_api.conditions import ConditionType, Reason
from pretrain_api.meta import Location
from pretrain_api.runs import OpenedArtifact
from pretrain_api.v1alpha1.data_status import DataStatus
from pretrain_operator.observed.objects import Key, ObservedObject
from pretrain_operator.observed.states import DependencyNotReady
from pretrain_operator.observed.statuses import find_condition, read_status


def require_artifact(field: str, key: Key, observed: ObservedObject | None) -> OpenedArtifact:
    """Return the artifact of the object `key`, to which `field` refers.

    Raises:
        DependencyNotReady: If the object does not exist, failed, or has not finished its current
            spec.
    """
    if observed is None or observed.deleting:
        raise DependencyNotReady(
            Reason.DEPENDENCY_NOT_FOUND,
            f"{field}: there is no {key.title} in namespace {key.namespace}; create it",
        )
    status = read_status(DataStatus, observed)
    ready = find_condition(status.conditions, ConditionType.READY)
    is_current = status.observed_generation == observed.generation
    if is_current and ready and ready.status == "True" and status.artifact:
        return OpenedArtifact(
            uri=status.artifact.uri,
            digest=status.artifact.digest,
            credentials_secret=artifact_secret(observed),
        )
    stalled = find_condition(status.conditions, ConditionType.STALLED)
    if is_current and stalled and stalled.status == "True":
        # Down a chain everyone tells of the same root, not of each other.
        is_root = stalled.reason != Reason.DEPENDENCY_FAILED
        message = f"{key.title} cannot go on: {stalled.message}" if is_root else stalled.message
        raise DependencyNotReady(Reason.DEPENDENCY_FAILED, message)
    # Its phase, not its message: that one changes with every task, and each change is a write here.
    phase = f" ({status.phase})" if is_current else ""
    raise DependencyNotReady(Reason.WAITING_FOR_DEPENDENCY, f"waits for {key.title}{phase}")


def artifact_secret(observed: ObservedObject) -> str | None:
    """Return the Secret that opens the artifact of `observed`, if there is one."""
    try:
        output = Location.model_validate(observed.spec.get("output"), extra="ignore")
    except ValidationError:
        return None
    return output.credentials_secret_ref.name if output.credentials_secret_ref else None


def merge_not_ready(problems: list[DependencyNotReady]) -> DependencyNotReady:
    """Return one problem that tells of all; a failure says more than a wait."""
    order = (
        Reason.DEPENDENCY_FAILED,
        Reason.DEPENDENCY_NOT_FOUND,
        Reason.WAITING_FOR_DEPENDENCY,
    )
    reasons = {problem.state.reason for problem in problems}
    reason = next((r for r in order if r in reasons), problems[0].state.reason)
    messages = dict.fromkeys(problem.state.message for problem in problems)
    return DependencyNotReady(reason, "; ".join(messages))
