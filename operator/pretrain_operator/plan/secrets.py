"""Secrets with storage credentials: which ones a Job needs, and whether they exist."""

from collections.abc import Iterable

from pretrain_api.conditions import Reason
from pretrain_api.meta import Location
from pretrain_api.runs import OpenedArtifact
from pretrain_operator.observed.errors import DependencyNotReady, Refused
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.references import secret_references
from pretrain_operator.plan.blocked import BLOCKING, blocked_state
from pretrain_operator.plan.plans import Plan

KEYS = "endpoint, accessKey, secretKey and, optionally, region"
"""Keys that such a Secret has."""


def hold_for_secrets[P: Plan](plan: P, observed: Observation) -> P:
    """Return `plan`; blocked if a Secret that its pods mount does not exist."""
    if plan.create is None:
        return plan
    try:
        _require_secrets(observed, plan.create.secrets)
    except BLOCKING as error:
        return plan.blocked(blocked_state(observed.owner, error))
    return plan


def secrets_to_look_up(observed: Observation) -> tuple[str, ...]:
    """Return the Secrets that the next Job may mount; none while a Job is unfinished."""
    if any(not job.is_finished for job in observed.jobs):
        return ()
    outputs = [item.spec.get("output") for item in observed.related]
    return tuple(sorted(set(secret_references([observed.owner.spec, *outputs]))))


def secret_names(*locations: Location | OpenedArtifact | None) -> tuple[str, ...]:
    """Return the Secrets with the credentials for `locations`, each once, sorted."""
    return tuple(sorted({name for location in locations if (name := _name(location))}))


def _require_secrets(observed: Observation, names: Iterable[str]) -> None:
    """Check that the Secrets `names` exist.

    Raises:
        DependencyNotReady: If one of them does not exist.
        Refused: If the operator may not look one of them up.
    """
    needed = sorted(names)
    refusals = [observed.secret_refusals.get(name) for name in needed]
    if refusal := next(filter(None, refusals), None):
        raise Refused(refusal)
    missing = [name for name in needed if name in observed.missing_secrets]
    if missing:
        raise DependencyNotReady(
            Reason.SECRET_NOT_FOUND,
            f"credentialsSecretRef: there is no Secret {', '.join(missing)} in namespace"
            f" {observed.owner.key.namespace}; create it with the keys {KEYS}",
        )


def _name(location: Location | OpenedArtifact | None) -> str | None:
    if isinstance(location, OpenedArtifact):
        return location.credentials_secret
    if location is None or location.credentials_secret_ref is None:
        return None
    return location.credentials_secret_ref.name
