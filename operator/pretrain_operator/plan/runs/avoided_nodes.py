"""Which nodes the next attempt avoids: those on which attempts of the run were lost repeatedly."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from pretrain_api.v1alpha1.pretrainjob import MAX_AVOIDED, AttemptStatus, AvoidNodes
from pretrain_operator.observed.clock import read_time


def avoided_nodes(
    attempts: Iterable[AttemptStatus], limits: AvoidNodes, now: datetime
) -> list[str]:
    """Return the nodes that are to blame for as many ends as `limits` allow, the worst first."""
    since = now - timedelta(hours=limits.for_hours)
    blamed = Counter(
        attempt.node
        for attempt in attempts
        if attempt.node and (ended_at := read_time(attempt.ended_at)) and ended_at >= since
    )
    worst = [node for node, ends in blamed.most_common() if ends >= limits.after_failures]
    return worst[:MAX_AVOIDED]
