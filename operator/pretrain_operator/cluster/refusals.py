"""Reads why Jobs have no pods: only the events of the Job controller say so."""

import logging
import time
from collections import OrderedDict
from dataclasses import replace
from datetime import datetime

from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.resources import EVENT
from pretrain_operator.observed.errors import Refused, Unavailable
from pretrain_operator.observed.events import parse_event
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.plan.waiting import PATIENCE_SECONDS, creation_refusal, lacks_pods

logger = logging.getLogger("pretrain_operator")

_MAX_KNOWN = 1000


class RefusalReader:
    """Reads the events of Jobs that lack pods, of each Job at most every `PATIENCE_SECONDS`."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: OrderedDict[str, tuple[float, str]] = OrderedDict()

    async def explain(
        self, jobs: tuple[ObservedJob, ...], now: datetime
    ) -> tuple[ObservedJob, ...]:
        """Return `jobs`, with why their pods cannot be created where that is so."""
        return tuple([await self._explain(job) if lacks_pods(job, now) else job for job in jobs])

    async def _explain(self, job: ObservedJob) -> ObservedJob:
        read_at, refusal = self._known.get(job.uid, (-PATIENCE_SECONDS, ""))
        if time.monotonic() - read_at >= PATIENCE_SECONDS:
            refusal = await self._read(job, refusal)
            self._known[job.uid] = (time.monotonic(), refusal)
            self._known.move_to_end(job.uid)
            if len(self._known) > _MAX_KNOWN:
                self._known.popitem(last=False)
        return replace(job, refusal=refusal)

    async def _read(self, job: ObservedJob, known: str) -> str:
        fields = f"involvedObject.uid={job.uid}"
        try:
            events = await self._api.first_page(EVENT, job.namespace, fields)
        except (Refused, Unavailable) as error:
            # Only the message of the status depends on it.
            logger.warning("cannot read events of Job %s/%s: %s", job.namespace, job.name, error)
            return known
        return creation_refusal(parse_event(event) for event in events)
