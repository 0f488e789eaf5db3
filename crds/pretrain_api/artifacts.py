"""Artifacts: immutable folders in storage whose `MANIFEST.json` is written last."""

from typing import Any

from pydantic import Field

from pretrain_api.digests import short
from pretrain_api.meta import ApiModel, NonNegative
from pretrain_api.v1alpha1.data_status import ArtifactRef

MANIFEST = "MANIFEST.json"
"""Without this file in its folder, an artifact does not exist."""


def artifact_uri(root: str, kind: str, name: str, digest: str) -> str:
    """Return the folder of an artifact: `<root>/<kind>-<name>/<short digest>`."""
    return f"{root.rstrip('/')}/{kind.lower()}-{name}/{short(digest)}"


class ArtifactFile(ApiModel):
    """One file of an artifact."""

    path: str
    """Path below the artifact's folder."""

    bytes: NonNegative
    """Size."""

    sha256: str | None = None
    """Checksum. Unset for files that were not read while the manifest was written."""


class Manifest(ApiModel):
    """What an artifact is, and what it was made from."""

    kind: str
    """Kind of the object that made it."""

    name: str
    """Name of that object."""

    digest: str
    """Content digest of everything below that determines the artifact."""

    created_at: str
    """When it was complete, RFC 3339."""

    spec: dict[str, Any]
    """The object's spec."""

    inputs: list[ArtifactRef] = []
    """Artifacts that it was computed from."""

    versions: dict[str, str] = {}
    """Versions of the packages that computed it."""

    files: list[ArtifactFile] = Field(default_factory=list)
    """Its files."""

    summary: dict[str, Any] = {}
    """The kind's summary, as in the object's status."""
