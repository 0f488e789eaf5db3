"""Cache the objects that runs are checked against: no review waits for the API server."""

import asyncio
import logging

from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.resources import OURS
from pretrain_operator.observed.errors import Refused, Unavailable
from pretrain_operator.observed.objects import ListedObjects, ObservedObject, parse_object

READ = ("ComputeProfile", "TokenDataset", "Tokenizer")
"""Kinds that a run is checked against; the chart's role permits to list these and no others."""

_LOG = logging.getLogger(__name__)


class ObjectCache:
    """The newest lists of profiles, datasets and tokenizers."""

    def __init__(self, api: Api, interval_seconds: float) -> None:
        self._api = api
        self._interval_seconds = interval_seconds
        self.objects: ListedObjects | None = None
        """`None` until all of them have been listed once."""

    async def keep_fresh(self) -> None:
        """Refresh the lists periodically; while the API server is unavailable, they stay."""
        while True:
            try:
                self.objects = await self._read()
            except (Refused, Unavailable) as error:
                _LOG.warning("keeps the last lists: %s", error)
            await asyncio.sleep(self._interval_seconds)

    async def _read(self) -> ListedObjects:
        objects: list[ObservedObject] = []
        for kind in READ:
            items, _ = await self._api.list(OURS[kind], None)
            objects += [parse_object(kind, item) for item in items]
        return ListedObjects(objects)
