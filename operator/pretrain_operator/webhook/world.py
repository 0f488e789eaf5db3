"""Keep what the webhook needs of other objects at hand: it never asks while a user waits."""

import asyncio
import logging
from typing import Any

from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.errors import Refused, Unavailable
from pretrain_operator.cluster.resources import OURS
from pretrain_operator.webhook.reviews import World

_LOG = logging.getLogger(__name__)


class WorldCache:
    """The newest lists of profiles, datasets and tokenizers."""

    def __init__(self, api: Api, interval_seconds: float) -> None:
        self._api = api
        self._interval_seconds = interval_seconds
        self.world = World()

    async def keep_fresh(self) -> None:
        """List again and again; while the API server is away, the last lists hold."""
        while True:
            try:
                self.world = await self._read()
            except (Refused, Unavailable) as error:
                _LOG.warning("keeps the last lists: %s", error)
            await asyncio.sleep(self._interval_seconds)

    async def _read(self) -> World:
        profiles = await self._list("ComputeProfile")
        datasets = await self._list("TokenDataset")
        tokenizers = await self._list("Tokenizer")
        return World(
            {value["metadata"]["name"]: value for value in profiles},
            {_key(value): value for value in datasets},
            {_key(value): value for value in tokenizers},
        )

    async def _list(self, kind: str) -> list[dict[str, Any]]:
        items, _ = await self._api.list(OURS[kind], None)
        return items


def _key(value: dict[str, Any]) -> tuple[str, str]:
    metadata = value["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
