"""Translate errors of storage clients into ours, with the URI, the problem and the remedy."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pretrain_workloads.failures import UserError

_CLIENT_ERRORS = ("botocore.", "aiobotocore.", "aiohttp.")
"""Packages whose own exceptions mean that the server is unreachable or does not speak S3."""

_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError")
_BAD_NAMES = ("ParamValidationError", "InvalidBucketName")
_WRONG_KEYS = {
    "InvalidAccessKeyId": "accessKey",
    "XAdminUserNotFound": "accessKey",  # of versitygw
    "SignatureDoesNotMatch": "secretKey",
}
_TOO_MANY, _SERVER_ERROR, _NOT_IMPLEMENTED = 429, 500, 501
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


class Unreachable(OSError):
    """The storage does not answer: retry later."""


class StorageFull(OSError):
    """There is no space left: retry later, when some is free."""


@contextmanager
def name_full_storage(place: str, folder: Path) -> Iterator[None]:
    """Say which storage is full when the body finds no space.

    Args:
        place: What the user knows it by.
        folder: A local folder in it.

    Raises:
        StorageFull: If it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        free = shutil.disk_usage(folder).free
        raise StorageFull(
            f"{place}: no space is left ({free:,} bytes free); free some, or enlarge the volume"
        ) from error


@contextmanager
def translate_errors(uri: str, opener: str) -> Iterator[None]:
    """Translate the storage errors that the body raises.

    Args:
        uri: The location that is read or written, for messages.
        opener: The identity that opens it, for messages: `Secret s3 (http://…)`, `the pod's user`.

    Raises:
        UserError: If the location does not exist, or access is denied.
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
        problem = _user_problem(uri, opener, error)
        if problem is not None:
            raise UserError(problem) from error
        if _code(error):
            raise OSError(error.errno, f"{uri}: {opener} says: {error.strerror}") from error
        raise
    except Exception as error:
        name = type(error).__name__
        if name in _NO_CREDENTIALS:
            raise UserError(
                f"{uri}: there are no credentials for it; set credentialsSecretRef"
            ) from error
        if name in _BAD_NAMES:
            raise UserError(f"{uri}: is no name of a bucket; correct it") from error
        if type(error).__module__.startswith(_CLIENT_ERRORS):
            raise Unreachable(f"{uri}: {opener} does not answer: {error}") from error
        raise


def may_pass(error: BaseException) -> bool:
    """Return whether a server may answer the same request otherwise a moment later."""
    response = getattr(error, "response", None) or {}
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return status == _TOO_MANY or (status >= _SERVER_ERROR and status != _NOT_IMPLEMENTED)


def _user_problem(uri: str, opener: str, error: OSError) -> str | None:
    """Return the message for an error that only the user can mend, or `None` for others."""
    code = _code(error)
    if code in _BAD_NAMES:
        return f"{uri}: is no name of a bucket; correct it"
    if key := _WRONG_KEYS.get(code):
        return f"{uri}: access was refused ({code}); correct {key} of {opener}"
    if code == "403" and opener.startswith("Secret"):  # a HEAD request has no body with a code
        return f"{uri}: access was refused; correct accessKey or secretKey of {opener}, or allow it"
    if isinstance(error, PermissionError) or error.errno in _REFUSED:
        return f"{uri}: access was refused ({_reason(error)}); give {opener} the right to use it"
    return None


def _code(error: BaseException) -> str:
    """Return the S3 error code behind `error`, or an empty string."""
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _reason(error: OSError) -> str:
    return _code(error) or error.strerror or str(error)
