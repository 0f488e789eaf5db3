"""Open the folder at a URI with the right file system and credentials."""

from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

from pretrain_api.meta import Location
from pretrain_api.runs import OpenedArtifact
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage.errors import may_pass
from pretrain_workloads.storage.folder import Folder
from pretrain_workloads.storage.local_paths import local_path
from pretrain_workloads.storage.secrets import Credentials, read_credentials, shown_endpoint


def open_location(location: Location) -> Folder:
    """Return the folder of a location in a spec.

    Raises:
        UserError: If its URI or its Secret is wrong.
    """
    return open_uri(location.uri, secret_name(location))


def secret_name(location: Location) -> str | None:
    """Return the name of the Secret that opens a location; `None` means the pod's identity."""
    reference = location.credentials_secret_ref
    return reference.name if reference else None


def open_artifact(artifact: ArtifactRef, secret: str | None = None) -> Folder:
    """Return the folder of an artifact, opened with `secret` or with the artifact's own Secret.

    Raises:
        UserError: If its Secret is wrong.
    """
    if secret is None and isinstance(artifact, OpenedArtifact):
        secret = artifact.credentials_secret
    return open_uri(artifact.uri, secret)


def open_uri(uri: str, secret: str | None = None) -> Folder:
    """Return the folder at `uri`, whether or not it exists.

    Raises:
        UserError: If the URI is neither `file:///…` nor `s3://…`, or the Secret is wrong.
    """
    scheme, _, rest = uri.partition("://")
    if scheme == "file" and rest.startswith("/"):
        path = unquote(urlsplit(uri).path) if "%" in rest else rest
        return Folder(uri, _local(), str(local_path(path)), "the pod's user")
    if scheme == "s3" and rest.strip("/"):
        credentials = read_credentials(secret) if secret else None
        opener = (
            f"Secret {credentials.secret} ({shown_endpoint(credentials.endpoint)})"
            if credentials
            else "the pod's identity"
        )
        return Folder(uri, _s3(credentials), rest.rstrip("/"), opener)
    raise UserError(f"{uri!r} is no place; write s3://bucket/path or file:///pretrain/path")


def _local() -> Any:
    from fsspec.implementations.local import LocalFileSystem

    return LocalFileSystem(auto_mkdir=True)


@lru_cache(maxsize=16)
def _s3(credentials: Credentials | None) -> Any:
    """Return the S3 file system.

    Listings are not cached, because other pods write at the same time. A request that the server
    fails (5xx, 429), does not answer or answers in part is retried for some seconds, no longer: a
    pod that fails with a clear message is retried anyway.
    """
    from s3fs import S3FileSystem
    from s3fs.core import set_custom_error_handler

    set_custom_error_handler(may_pass)
    config = {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 2}}
    options: dict[str, Any] = {"use_listings_cache": False, "config_kwargs": config}
    if credentials is not None:
        options |= {
            "key": credentials.access_key,
            "secret": credentials.secret_key,
            "endpoint_url": credentials.endpoint,
            "client_kwargs": {"region_name": credentials.region or "us-east-1"},
        }
    return S3FileSystem(**options)
