"""Credentials of an S3 location, from the files of a mounted Secret."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pretrain_api import paths
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage.local_paths import local_path

_REQUIRED = ("endpoint", "accessKey", "secretKey")


@dataclass(frozen=True)
class Credentials:
    """Endpoint and keys of an S3 location."""

    secret: str
    """Name of the Secret, for messages."""

    endpoint: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    region: str | None = None


def read_credentials(secret: str) -> Credentials:
    """Return the credentials in the mounted Secret `secret`.

    Raises:
        UserError: If the Secret or one of its keys is missing, or the endpoint is not a URL.
    """
    folder = local_path(paths.SECRETS) / secret
    if not folder.is_dir():
        raise UserError(
            f"Secret {secret}: is not mounted; create it in this namespace with the keys "
            f"{', '.join(_REQUIRED)}"
        )
    keys = {
        file.name: file.read_text(encoding="utf-8").strip()
        for file in folder.iterdir()
        if not file.name.startswith("..") and file.is_file()
    }
    if missing := [key for key in _REQUIRED if not keys.get(key)]:
        raise UserError(
            f"Secret {secret}: the keys {', '.join(missing)} are missing or empty; it has "
            f"{', '.join(sorted(keys)) or 'no keys'}, and needs {', '.join(_REQUIRED)}"
        )
    _check_endpoint(secret, keys["endpoint"])
    return Credentials(
        secret, keys["endpoint"], keys["accessKey"], keys["secretKey"], keys.get("region") or None
    )


def shown_endpoint(endpoint: str) -> str:
    """Return scheme, host and port of a URL for messages: the rest may be secret."""
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        return "(not shown)"
    host = parts.netloc.rpartition("@")[2]
    if not host or "@" in endpoint.removeprefix(f"{parts.scheme}://{parts.netloc}"):
        # A password with a slash in it ends the netloc early: part of it would be shown.
        return "(not shown)"
    return f"{parts.scheme}://{host}"


def _check_endpoint(secret: str, endpoint: str) -> None:
    try:
        parts = urlsplit(endpoint)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        good = False
    shown = shown_endpoint(endpoint)
    if "@" in endpoint:
        raise UserError(
            f"Secret {secret}: endpoint {shown} has a user or a password before an @; write the "
            "URL without them, and give the keys as accessKey and secretKey"
        )
    if not good:
        raise UserError(
            f"Secret {secret}: endpoint {shown} is not a URL; write for example "
            "https://s3.example.com or http://10.0.0.5:9000"
        )
