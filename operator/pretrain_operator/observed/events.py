"""Events of Jobs: the only place where the Job controller reports why it cannot create pods."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pretrain_operator.observed.clock import parse_time


@dataclass(frozen=True)
class ObservedEvent:
    """One event of a Job."""

    reason: str
    message: str
    at: datetime
    """When it last occurred."""


def parse_event(body: Mapping[str, Any]) -> ObservedEvent:
    """Return an event of the API core/v1."""
    series = body.get("series") or {}
    times = (
        series.get("lastObservedTime"),
        body.get("lastTimestamp"),
        body.get("eventTime"),
        body["metadata"]["creationTimestamp"],
    )
    at = parse_time(next(time for time in times if time))
    return ObservedEvent(str(body.get("reason") or ""), str(body.get("message") or ""), at)
