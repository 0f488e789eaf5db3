"""Storage errors, told as: which place, what is wrong, what would do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from pretrain_workloads.failures import UserError

_UNREACHABLE = ("EndpointConnectionError", "ConnectTimeoutError", "ConnectionClosedError")
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError")
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


class Unreachable(OSError):
    """The storage does not answer; time or an administrator will mend it."""


@contextmanager
def told(uri: str, opener: str) -> Iterator[None]:
    """Raise the storage errors of the body as ours.

    Args:
        uri: The place that is read or written.
        opener: What opens it: `Secret s3 (http://…)`, `the volume`, …

    Raises:
        UserError: If the place does not exist, or may not be used.
        Unreachable: If its server does not answer.
    """
    try:
        yield
    except FileNotFoundError as error:
        if _code(error) == "NoSuchBucket":
            raise UserError(
                f"{uri}: the bucket does not exist; create it, or correct it"
            ) from error
        raise UserError(f"{uri}: does not exist") from error
    except OSError as error:
        if isinstance(error, PermissionError) or error.errno in _REFUSED:
            raise UserError(
                f"{uri}: access was refused ({_reason(error)}); give {opener} the right to use it"
            ) from error
        raise
    except Exception as error:
        name = type(error).__name__
        if name in _UNREACHABLE:
            raise Unreachable(f"{uri}: {opener} does not answer: {error}") from error
        if name in _NO_CREDENTIALS:
            raise UserError(
                f"{uri}: there are no credentials for it; set credentialsSecretRef"
            ) from error
        raise


def _code(error: BaseException) -> str:
    """Return the S3 error code that `error` came from, or an empty string."""
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _reason(error: OSError) -> str:
    return _code(error) or error.strerror or str(error)
