"""The files that a URI with `*`, `?` and `**` means, the same on a volume and on S3."""

import os
import re

from pretrain_api.meta import Location
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage.folder import Folder, StoredFile
from pretrain_workloads.storage.opening import open_uri

_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+")
_MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def split_glob(uri: str) -> tuple[str, str]:
    """Divide a URI before its first part that holds `*` or `?` into folder and pattern.

    The pattern is empty if there is none.
    """
    parts = uri.split("/")
    for index, part in enumerate(parts):
        if "*" in part or "?" in part:
            return "/".join(parts[:index]), "/".join(parts[index:])
    return uri, ""


def glob_pattern(glob: str) -> re.Pattern[str]:
    """Return the regular expression of a glob: `*` and `?` stay in a folder, `**` does not."""
    tokens = _TOKEN.findall(glob)
    return re.compile("".join(_MEANING.get(token) or re.escape(token) for token in tokens), re.S)


def source_folder(uri: str) -> str:
    """Return the folder that the paths of `list_matching` are in."""
    base, glob = split_glob(uri.rstrip("/"))
    return base if glob else base.rpartition("/")[0]


def list_matching(location: Location) -> tuple[Folder, list[StoredFile]]:
    """Return the files that a location means, sorted by path, and the folder their paths are in.

    A URI without `*` or `?` means one file, or all files below a folder.

    Raises:
        UserError: If there are none, or they may not be read.
    """
    _, glob = split_glob(location.uri.rstrip("/"))
    start = "" if glob else location.uri.rstrip("/").rpartition("/")[2]
    wanted = glob_pattern(glob or f"{start}/**")
    reference = location.credentials_secret_ref
    folder = open_uri(source_folder(location.uri), reference.name if reference else None)
    files = [
        file for file in folder.find(start) if file.path == start or wanted.fullmatch(file.path)
    ]
    if not files:
        raise UserError(f"{location.uri}: no file matches; correct the URI, or upload the files")
    if folder.is_local:
        _check_readable(folder, files)
    return folder, files


def _check_readable(folder: Folder, files: list[StoredFile]) -> None:
    refused = [file.path for file in files if not folder.is_readable(file.path)]
    if refused:
        raise UserError(
            f"{folder.uri_of(refused[0])}: may not be read by user {os.getuid()} "
            f"({len(refused)} of {len(files)} files); allow it, or set the pod's user"
        )
