"""A file of an artifact."""

from pretrain_api.runs import FileRun
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import open_artifact

MAX_FILE_BYTES = 8_000_000
"""Largest file that is printed: the log of a container is cut beyond 10 MiB by default."""


def read_file(run: FileRun) -> str:
    """Return the text of a file.

    Raises:
        UserError: If there is none, it may not be read, it is too large, or it is no text.
    """
    folder = open_artifact(run.artifact)
    uri = folder.uri_of(run.path)
    size = folder.stat(run.path).size
    if size > MAX_FILE_BYTES:
        raise UserError(f"{uri}: {size:,} bytes are too many for a log; copy it from the storage")
    try:
        return folder.read_bytes(run.path).decode()
    except UnicodeDecodeError:
        raise UserError(f"{uri}: is no text; copy it from the storage") from None
