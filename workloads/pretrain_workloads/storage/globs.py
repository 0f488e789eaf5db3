"""List the files that a URI with `*`, `?` and `**` matches, on a volume and on S3 alike."""

import os
import re

from pretrain_api.meta import Location
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage.folder import Folder, StoredFile
from pretrain_workloads.storage.opening import open_uri, secret_name

_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+")
_REGULAR_EXPRESSIONS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def split_glob(uri: str) -> tuple[str, str]:
    """Split a URI into a folder and the pattern from its first part with `*` or `?` on.

    The pattern is empty if no part has a wildcard.
    """
    parts = uri.split("/")
    for index, part in enumerate(parts):
        if "*" in part or "?" in part:
            return "/".join(parts[:index]), "/".join(parts[index:])
    return uri, ""


def glob_pattern(glob: str) -> re.Pattern[str]:
    """Return the regular expression of a glob; only `**` crosses folders."""
    tokens = _TOKEN.findall(glob)
    return re.compile(
        "".join(_REGULAR_EXPRESSIONS.get(token) or re.escape(token) for token in tokens), re.S
    )


def open_source(location: Location) -> Folder:
    """Return the folder that the paths of `list_matching` are relative to, without listing it.

    Raises:
        UserError: If its URI or its Secret is wrong.
    """
    base, glob = split_glob(location.uri.rstrip("/"))
    folder = base if glob else base.rpartition("/")[0]
    return open_uri(folder, secret_name(location))


def list_matching(location: Location) -> tuple[Folder, list[StoredFile]]:
    """Return the folder of a location and its matching files, sorted by path.

    A URI without a wildcard matches one file, or all files below a folder.

    Raises:
        UserError: If no file matches, or one may not be read.
    """
    _, glob = split_glob(location.uri.rstrip("/"))
    start = "" if glob else location.uri.rstrip("/").rpartition("/")[2]
    pattern = glob_pattern(glob or f"{start}/**")
    folder = open_source(location)
    matching = [
        file for file in folder.find(start) if file.path == start or pattern.fullmatch(file.path)
    ]
    files = [file for file in matching if not _is_hidden(file.path, glob or start)]
    if not files:
        skipped = f" ({len(matching)} with names that start with . or _)" if matching else ""
        raise UserError(
            f"{location.uri}: no file matches{skipped}; correct the URI, or upload the files"
        )
    if folder.is_local:
        _check_readable(folder, files)
    return folder, files


def _is_hidden(path: str, asked_for: str) -> bool:
    """Return whether a file or its folder has a name that starts with `.` or `_`.

    Names that the pattern itself starts so are asked for. Spark and others keep their markers and
    checksums in such files.
    """
    asked = asked_for.split("/")
    return any(
        part.startswith((".", "_"))
        and not (place < len(asked) and asked[place].startswith((".", "_")))
        for place, part in enumerate(path.split("/"))
    )


def _check_readable(folder: Folder, files: list[StoredFile]) -> None:
    unreadable = [file.path for file in files if not folder.is_readable(file.path)]
    if unreadable:
        raise UserError(
            f"{folder.uri_of(unreadable[0])}: may not be read by user {os.getuid()} "
            f"({len(unreadable)} of {len(files)} files); allow it, or set the pod's user"
        )
