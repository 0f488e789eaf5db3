"""Secrets with storage credentials: which ones a Job mounts, and what to do if one is missing."""

from collections.abc import Iterable

from pretrain_api.conditions import Reason
from pretrain_api.meta import Location
from pretrain_api.runs import OpenedArtifact
from pretrain_operator.observed.errors import DependencyNotReady

KEYS = "endpoint, accessKey, secretKey and, optionally, region"
"""Keys that such a Secret has."""


def secret_names(*locations: Location | OpenedArtifact | None) -> tuple[str, ...]:
    """Return the Secrets with the credentials for `locations`, each once, sorted."""
    return tuple(sorted({name for location in locations if (name := _name(location))}))


def secrets_not_found(namespace: str, names: Iterable[str]) -> DependencyNotReady:
    """Return the error that the Secrets `names` do not exist."""
    return DependencyNotReady(
        Reason.SECRET_NOT_FOUND,
        f"credentialsSecretRef: there is no Secret {', '.join(sorted(names))} in namespace"
        f" {namespace}; create it with the keys {KEYS}",
    )


def _name(location: Location | OpenedArtifact | None) -> str | None:
    if isinstance(location, OpenedArtifact):
        return location.credentials_secret
    if location is None or location.credentials_secret_ref is None:
        return None
    return location.credentials_secret_ref.name
