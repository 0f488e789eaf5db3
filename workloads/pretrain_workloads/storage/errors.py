"""Storage errors, told as: which place, what is wrong, what would do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from pretrain_workloads.failures import UserError

_CLIENT_ERRORS = ("botocore.", "aiobotocore.", "aiohttp.")
"""Packages whose own errors say that a server did not answer, or not as S3 does."""

_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError")
_BAD_NAMES = ("ParamValidationError", "InvalidBucketName")
_WRONG_KEYS = {
    "InvalidAccessKeyId": "accessKey",
    "XAdminUserNotFound": "accessKey",  # of versitygw
    "SignatureDoesNotMatch": "secretKey",
}
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


def _user_problem(uri: str, opener: str, error: OSError) -> str | None:
    """Return what only the user can mend, or `None` if time may."""
    code = _code(error)
    if code in _BAD_NAMES:
        return f"{uri}: is no name of a bucket; correct it"
    if key := _WRONG_KEYS.get(code):
        return f"{uri}: access was refused ({code}); correct {key} of {opener}"
    if code == "403" and opener.startswith("Secret"):  # a question about one object has no body
        return f"{uri}: access was refused; correct accessKey or secretKey of {opener}, or allow it"
    if isinstance(error, PermissionError) or error.errno in _REFUSED:
        return f"{uri}: access was refused ({_reason(error)}); give {opener} the right to use it"
    return None


def _code(error: BaseException) -> str:
    """Return the S3 error code that `error` came from, or an empty string."""
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _reason(error: OSError) -> str:
    return _code(error) or error.strerror or str(error)
