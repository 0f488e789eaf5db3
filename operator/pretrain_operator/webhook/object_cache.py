"""Keep what the webhook needs of other objects at hand: it never asks while a user waits."""

import asyncio
import logging

from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.resources import OURS
from pretrain_operator.observed.errors import Refused, Unavailable
from pretrain_operator.observed.objects import ListedObjects, ObservedObject, parse_object

READ = ("ComputeProfile", "TokenDataset", "Tokenizer")
"""Kinds that a run is compared with; the chart's role lets the webhook read these and no more."""

_LOG = logging.getLogger(__name__)


class ObjectCache:
    """The newest lists of profiles, datasets and tokenizers."""

    def __init__(self, api: Api, interval_seconds: float) -> None:
        self._api = api
        self._interval_seconds = interval_seconds
        self.objects: ListedObjects | None = None
        """`None` until all of them have been listed once."""

    async def keep_fresh(self) -> None:
        """List again and again; while the API server is away, the last lists hold."""
        while True:
            try:
                self.objects = await self._read()
            except (Refused, Unavailable) as error:
                _LOG.warning("keeps the last lists: %s", error)
            await asyncio.sleep(self._interval_seconds)

    async def _read(self) -> ListedObjects:
        found: list[ObservedObject] = []
        for kind in READ:
            items, _ = await self._api.list(OURS[kind], None)
            found += [parse_object(kind, item) for item in items]
        return ListedObjects(found)
