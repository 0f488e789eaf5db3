"""Secrets that open storage: which ones a pod needs, and what to say when one is missing."""

from collections.abc import Iterable

from pretrain_api.conditions import Reason
from pretrain_api.meta import Location
from pretrain_api.runs import OpenedArtifact
from pretrain_operator.observed.states import Phase, State

KEYS = "endpoint, accessKey, secretKey and, optionally, region"


def secret_names(*places: Location | OpenedArtifact | None) -> tuple[str, ...]:
    """Return the Secrets that open `places`, each once, sorted."""
    return tuple(sorted({name for place in places if (name := _name(place))}))


def _name(place: Location | OpenedArtifact | None) -> str | None:
    if isinstance(place, OpenedArtifact):
        return place.credentials_secret
    if place is None or place.credentials_secret_ref is None:
        return None
    return place.credentials_secret_ref.name


def missing_secrets(namespace: str, names: Iterable[str]) -> State | None:
    """Return what to say of Secrets that do not exist; `None` if there are none such."""
    missing = sorted(names)
    if not missing:
        return None
    which = ", ".join(missing)
    return State(
        Phase.WAITING,
        Reason.SECRET_NOT_FOUND,
        f"credentialsSecretRef: there is no Secret {which} in namespace {namespace}; "
        f"create it with the keys {KEYS}",
    )
