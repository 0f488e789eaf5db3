"""Read why pods of a Job were not created: only events of the Job controller report it."""

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

_CACHE_SIZE = 1000


class RefusalReader:
    """Reads the events of Jobs that lack pods, of each Job at most every `PATIENCE_SECONDS`."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._cache: OrderedDict[str, tuple[float, str]] = OrderedDict()
        """Time of the last read and its result, by the UID of the Job; least recent first."""

    async def explain(
        self, jobs: tuple[ObservedJob, ...], now: datetime
    ) -> tuple[ObservedJob, ...]:
        """Return `jobs`; those that lack pods with the reason why these cannot be created."""
        return tuple([await self._explain(job) if lacks_pods(job, now) else job for job in jobs])

    async def _explain(self, job: ObservedJob) -> ObservedJob:
        read_at, refusal = self._cache.get(job.uid, (-PATIENCE_SECONDS, ""))
        if time.monotonic() - read_at >= PATIENCE_SECONDS:
            refusal = await self._read(job, refusal)
            self._cache[job.uid] = (time.monotonic(), refusal)
            self._cache.move_to_end(job.uid)
            if len(self._cache) > _CACHE_SIZE:
                self._cache.popitem(last=False)
        return replace(job, refusal=refusal)

    async def _read(self, job: ObservedJob, previous: str) -> str:
        fields = f"involvedObject.uid={job.uid}"
        try:
            events = await self._api.first_page(EVENT, job.namespace, fields)
        except (Refused, Unavailable) as error:
            # No reason to fail the reconcile: only the message of the status depends on it.
            logger.warning("cannot read events of Job %s/%s: %s", job.namespace, job.name, error)
            return previous
        return creation_refusal(parse_event(event) for event in events)
