"""Whether the artifacts that an object is made from are ready, and if not, what it waits for."""

from collections.abc import Iterable

from pydantic import BaseModel, ValidationError

from pretrain_api.conditions import Condition, ConditionType, Reason
from pretrain_api.meta import Location
from pretrain_api.runs import OpenedArtifact
from pretrain_api.v1alpha1.data_status import DataStatus
from pretrain_operator.observed.observed import Key, ObservedObject
from pretrain_operator.plan.situation import Unmet


def read_status[S: BaseModel](model: type[S], observed: ObservedObject) -> S:
    """Return the status of `observed`; an empty one if nobody wrote it, or not as this version.

    Nothing is lost by that: all that matters is rebuilt from Jobs and artifacts.
    """
    try:
        return model.model_validate(dict(observed.status), extra="ignore")
    except ValidationError:
        return model()


def find_condition(conditions: Iterable[Condition], kind: ConditionType) -> Condition | None:
    """Return the condition of one type, if it is there."""
    return next((c for c in conditions if c.type == kind), None)


def require_artifact(field: str, key: Key, observed: ObservedObject | None) -> OpenedArtifact:
    """Return the artifact of the object `key`, to which `field` refers.

    Raises:
        Unmet: If the object does not exist, failed, or is not ready for its current spec.
    """
    if observed is None or observed.deleting:
        raise Unmet(
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
        raise Unmet(Reason.DEPENDENCY_FAILED, message)
    # Its phase, not its message: that one changes with every task, and each change is a write here.
    phase = f" ({status.phase})" if is_current else ""
    raise Unmet(Reason.WAITING_FOR_DEPENDENCY, f"waits for {key.title}{phase}")


def artifact_secret(observed: ObservedObject) -> str | None:
    """Return the Secret that opens the artifact of `observed`, if there is one."""
    try:
        output = Location.model_validate(observed.spec.get("output"), extra="ignore")
    except ValidationError:
        return None
    return output.credentials_secret_ref.name if output.credentials_secret_ref else None


def merge_unmet(problems: list[Unmet]) -> Unmet:
    """Return one problem that tells of all; a failure says more than a wait."""
    order = (
        Reason.DEPENDENCY_FAILED,
        Reason.DEPENDENCY_NOT_FOUND,
        Reason.WAITING_FOR_DEPENDENCY,
    )
    reasons = {problem.situation.reason for problem in problems}
    reason = next((r for r in order if r in reasons), problems[0].situation.reason)
    messages = dict.fromkeys(problem.situation.message for problem in problems)
    return Unmet(reason, "; ".join(messages))
