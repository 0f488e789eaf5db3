"""The termination message of a pod: an `ExitReport` as JSON, within Kubernetes' limit."""

import logging

from pydantic_core import to_json

from pretrain_api import paths
from pretrain_api.reports import MAX_REPORT_BYTES, ExitReport
from pretrain_workloads.storage import local_path

log = logging.getLogger(__name__)

MAX_MESSAGE_CHARACTERS = 1200
"""Longest sentence in a report, so that there is room for its other parts."""

_OPTIONAL_PARTS = (
    "curve",
    "counts",
    "pipeline",
    "dataset",
    "tokenizer",
    "training",
    "checkpoint",
)
"""Parts of a report that are dropped, in this order, until it fits."""


def write_report(report: ExitReport) -> None:
    """Write `report` where Kubernetes reads the termination message.

    Outside a pod, where the folder does not exist, there is only the log.
    """
    path = local_path(paths.TERMINATION)
    try:
        path.write_bytes(render_report(report))
    except OSError as error:
        log.warning("no termination message: %s", error)


def render_report(report: ExitReport) -> bytes:
    """Return `report` as JSON of at most `MAX_REPORT_BYTES` bytes."""
    message = truncated(report.message, MAX_MESSAGE_CHARACTERS)
    report = report.model_copy(update={"message": message})
    value = report.model_dump(mode="json", by_alias=True, exclude_none=True)
    for part in _OPTIONAL_PARTS:
        if len(to_json(value)) <= MAX_REPORT_BYTES:
            break
        value.pop(part, None)
    while len(to_json(value)) > MAX_REPORT_BYTES:  # a character may take many bytes
        value["message"] = value["message"][: len(value["message"]) // 2] + "…"
    return to_json(value)


def truncated(text: str, length: int) -> str:
    """Return `text` in at most `length` characters, with an ellipsis if it was longer."""
    return text if len(text) <= length else text[: max(0, length - 1)] + "…"
