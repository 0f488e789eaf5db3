"""`MANIFEST.json`: written last, so that an artifact is complete or does not exist."""

from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import ValidationError

from pretrain_api.artifacts import MANIFEST, Manifest
from pretrain_api.problems import describe
from pretrain_workloads.failures import BadData
from pretrain_workloads.storage.folder import Folder


def read_manifest(folder: Folder) -> Manifest | None:
    """Return the manifest of the artifact in `folder`, or `None` if it is incomplete.

    Raises:
        BadData: If it is none.
    """
    if not folder.exists(MANIFEST):
        return None
    try:
        # A later version may have written more than this one knows.
        return Manifest.model_validate_json(folder.read_bytes(MANIFEST), extra="ignore")
    except ValidationError as error:
        problems = "; ".join(describe(error))
        raise BadData(
            f"{folder.uri_of(MANIFEST)}: is no manifest of an artifact ({problems}); delete the "
            "artifact and let it be made again"
        ) from error


def seal_manifest(folder: Folder, packages: tuple[str, ...] = (), **fields: Any) -> Manifest:
    """Write the manifest: the given `fields`, the time, and the versions of `packages`."""
    manifest = Manifest(
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={name: _version(name) for name in ("pretrain-operator", *packages)},
        **fields,
    )
    folder.write_bytes(
        MANIFEST, manifest.model_dump_json(by_alias=True, exclude_none=True, indent=1).encode()
    )
    return manifest


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
