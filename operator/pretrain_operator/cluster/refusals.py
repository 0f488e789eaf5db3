"""Asks why Jobs have no pods: only the Job controller's events say so."""

import logging
import time
from collections import OrderedDict
from dataclasses import replace
from datetime import datetime

from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.errors import Refused, Unavailable
from pretrain_operator.cluster.resources import EVENT
from pretrain_operator.observed.events import parse_event
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.plan.waiting import PATIENCE_SECONDS, creation_refusal, lacks_pods

logger = logging.getLogger("pretrain_operator")

_REMEMBERED = 1000


class RefusalReader:
    """Reads the events of Jobs that lack pods; of one Job not more often than pods are missed."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: OrderedDict[str, tuple[float, str]] = OrderedDict()

    async def explain(
        self, jobs: tuple[ObservedJob, ...], now: datetime
    ) -> tuple[ObservedJob, ...]:
        """Return `jobs`, with why their pods cannot be created where that is so."""
        return tuple([await self._explain(job) if lacks_pods(job, now) else job for job in jobs])

    async def _explain(self, job: ObservedJob) -> ObservedJob:
        asked, said = self._known.get(job.uid, (-PATIENCE_SECONDS, ""))
        if time.monotonic() - asked >= PATIENCE_SECONDS:
            said = await self._ask(job, said)
            self._known[job.uid] = (time.monotonic(), said)
            self._known.move_to_end(job.uid)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return replace(job, refusal=said)

    async def _ask(self, job: ObservedJob, known: str) -> str:
        fields = f"involvedObject.uid={job.uid}"
        try:
            events = await self._api.first_page(EVENT, job.namespace, fields)
        except (Refused, Unavailable) as error:
            # The work itself does not depend on what is said of it.
            logger.warning("cannot read events of Job %s/%s: %s", job.namespace, job.name, error)
            return known
        return creation_refusal(parse_event(event) for event in events)
