"""Look up the artifacts that an object is made from, and report those that are not ready."""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from pretrain_api.conditions import ConditionType, Reason
from pretrain_api.meta import Location
from pretrain_api.runs import OpenedArtifact
from pretrain_api.v1alpha1.data_status import DataStatus
from pretrain_operator.observed.errors import DependencyNotReady
from pretrain_operator.observed.objects import Key, ObjectReader, ObservedObject
from pretrain_operator.observed.states import find_condition, is_ready, is_true, read_status

_WORST_FIRST = (
    Reason.DEPENDENCY_FAILED,
    Reason.DEPENDENCY_NOT_FOUND,
    Reason.WAITING_FOR_DEPENDENCY,
)


def require_artifacts(
    fields: Mapping[str, Key], objects: ObjectReader
) -> dict[str, OpenedArtifact]:
    """Return the artifacts of the objects that `fields` refer to, by the path of the field.

    Raises:
        DependencyNotReady: If some are not ready; the error names all of them.
    """
    opened: dict[str, OpenedArtifact] = {}
    errors: list[DependencyNotReady] = []
    for field, key in fields.items():
        try:
            opened[field] = require_artifact(field, key, objects.get(key))
        except DependencyNotReady as error:
            errors.append(error)
    if errors:
        raise _merge(errors)
    return opened


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
    if status.artifact is not None and is_ready(status, observed):
        return OpenedArtifact(
            uri=status.artifact.uri,
            digest=status.artifact.digest,
            credentials_secret=artifact_secret(observed),
        )
    is_current = status.observed_generation == observed.generation
    if is_current and is_true(status.conditions, ConditionType.STALLED):
        raise DependencyNotReady(Reason.DEPENDENCY_FAILED, _stalled_message(key, status))
    # Not its message: that changes with every task, and each change would be a status write here.
    phase = f" ({status.phase})" if is_current else ""
    raise DependencyNotReady(Reason.WAITING_FOR_DEPENDENCY, f"waits for {key.title}{phase}")


def artifact_secret(observed: ObservedObject) -> str | None:
    """Return the Secret with the credentials for the artifact of `observed`, if it has one."""
    try:
        output = Location.model_validate(observed.spec.get("output"), extra="ignore")
    except ValidationError:
        return None
    return output.credentials_secret_ref.name if output.credentials_secret_ref else None


def _stalled_message(key: Key, status: DataStatus) -> str:
    """Return why a dependency is stalled; every object down a chain reports the first cause."""
    stalled = find_condition(status.conditions, ConditionType.STALLED)
    assert stalled is not None
    if stalled.reason == Reason.DEPENDENCY_FAILED:
        return stalled.message
    return f"{key.title} has stopped: {stalled.message}"


def _merge(errors: Sequence[DependencyNotReady]) -> DependencyNotReady:
    """Return one error with all messages, and with the most severe reason."""
    reasons = {error.reason for error in errors}
    reason = next((r for r in _WORST_FIRST if r in reasons), errors[0].reason)
    return DependencyNotReady(reason, "; ".join(dict.fromkeys(error.message for error in errors)))
