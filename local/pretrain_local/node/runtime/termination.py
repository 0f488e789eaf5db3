"""Termination messages: the text that a container leaves for the status of its pod."""

from pathlib import Path

from pretrain_local.node.api.pods import Container
from pretrain_local.node.runtime.attempts import Attempt

_MAX_BYTES = 4096
_MAX_LOG_BYTES, _MAX_LOG_LINES = 2048, 80
"""Limits of Kubernetes."""


def termination_message(container: Container, attempt: Attempt) -> str:
    """Return the message of an attempt that has ended; empty if it left none."""
    message = _read(attempt.folder / "termination-log")[:_MAX_BYTES]
    falls_back = container.termination_message_policy == "FallbackToLogsOnError"
    if not message and falls_back and attempt.exit is not None and attempt.exit.code != 0:
        lines = _read(attempt.folder / "log")[-_MAX_LOG_BYTES:].splitlines(keepends=True)
        message = b"".join(lines[-_MAX_LOG_LINES:])
    return message.decode(errors="replace")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
