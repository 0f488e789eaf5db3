"""The end of one attempt of a container, stored as `exit.json` in the attempt's folder.

Standard library only: the supervisor of each container imports it in a bare interpreter.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from pretrain_local.atomic_files import write_atomically

EXIT_FILE = "exit.json"

NOT_STARTED = 128
"""Exit code of a container that could not be started, as in other container runtimes."""
START_ERROR = "StartError"
"""Reason of a container that could not be started, as in other container runtimes."""


class Exit(NamedTuple):
    """How an attempt ended."""

    code: int
    """Exit code, or 128 + the number of the signal that killed the container."""
    reason: str
    message: str
    started_at: datetime
    finished_at: datetime


def read_exit(folder: Path) -> Exit | None:
    """Return how the attempt in `folder` ended, or None if that is not stored."""
    try:
        document = json.loads((folder / EXIT_FILE).read_text())
    except OSError:
        return None
    return Exit(
        code=int(document["code"]),
        reason=document["reason"],
        message=document["message"],
        started_at=datetime.fromisoformat(document["startedAt"]),
        finished_at=datetime.fromisoformat(document["finishedAt"]),
    )


def write_exit(folder: Path, ended: Exit) -> None:
    """Store how the attempt in `folder` ended."""
    document = {
        "code": ended.code,
        "reason": ended.reason,
        "message": ended.message,
        "startedAt": ended.started_at.isoformat(),
        "finishedAt": ended.finished_at.isoformat(),
    }
    write_atomically(folder / EXIT_FILE, json.dumps(document))
