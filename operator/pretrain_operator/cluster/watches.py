"""Watches: the store follows what the API server has, and says for how long it has not."""

import asyncio
import logging
import random
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from pretrain_operator.cluster.api import Api, Expired
from pretrain_operator.cluster.resources import Resource
from pretrain_operator.cluster.store import Store
from pretrain_operator.observed.errors import Refused, Unavailable

logger = logging.getLogger("pretrain_operator")

_FIRST_BACKOFF_SECONDS, _MAX_BACKOFF_SECONDS = 0.2, 30.0
_HEALTHY_SECONDS = 5.0
"""After a response that lasted for so long the next request follows at once."""


@dataclass(frozen=True)
class Scope:
    """Which objects of a resource are followed."""

    namespace: str | None
    """The only namespace. `None` means all."""
    labels: str | None = None
    """A label selector."""


@dataclass
class WatchState:
    """What a watch knows about itself; times are those of the event loop's clock."""

    resource: Resource
    listed_at: float | None = None
    """When all objects were last listed. `None` means never."""
    heard_at: float | None = None
    """When the watch last heard something: its first list, a change or a bookmark."""
    problem: str = ""
    """Why the last request failed. Empty means that it did not."""
    refusal: str = ""
    """The same, if the API server does not permit it: that does not pass by itself."""

    def fail(self, error: Refused | Unavailable) -> None:
        """Take note of a request that failed."""
        self.problem = str(error)
        self.refusal = str(error) if isinstance(error, Refused) else ""


class Watch:
    """Follows the objects of one resource."""

    def __init__(self, api: Api, store: Store, resource: Resource, scope: Scope) -> None:
        self._api, self._store, self._scope = api, store, scope
        self.state = WatchState(resource)
        self._version = ""
        """Changes up to this resourceVersion are in the store."""

    async def list(self) -> None:
        """Store all objects; what a watch has missed is found so.

        Raises:
            Refused: If the API server does not permit it.
            Unavailable: If it does not answer.
        """
        resource = self.state.resource
        namespace = self._scope.namespace if resource.namespaced else None
        try:
            items, version = await self._api.list(resource, namespace, self._scope.labels)
        except (Refused, Unavailable) as error:
            self.state.fail(error)
            raise
        self._store.replace(resource.kind, items, version)
        self._version = version
        self.state.listed_at = self._clock()
        if self.state.heard_at is None:
            self._heard()

    async def follow(self) -> None:
        """Store every change since the first list, forever; errors are logged and waited for."""
        backoff = _FIRST_BACKOFF_SECONDS
        while True:
            began = self._clock()
            try:
                await self._follow_once()
            except (Refused, Unavailable) as error:
                logger.warning("cannot watch %s: %s", self.state.resource.plural, error)
                self.state.fail(error)
                if isinstance(error, Expired):
                    self._version = ""
            if self._clock() - began > _HEALTHY_SECONDS:
                backoff = _FIRST_BACKOFF_SECONDS
                continue
            # Also a server that ends every response at once must not be asked without a pause.
            await asyncio.sleep(backoff * random.uniform(0.75, 1.25))
            backoff = min(_MAX_BACKOFF_SECONDS, backoff * 2)

    async def _follow_once(self) -> None:
        """Store changes until the server ends the response."""
        if not self._version:
            await self.list()
            self._heard()
        resource = self.state.resource
        namespace = self._scope.namespace if resource.namespaced else None
        opened = self._api.watch(resource, namespace, self._scope.labels, self._version)
        async with aclosing(opened) as changes:
            async for change in changes:
                self._store_change(change["type"], change["object"])
                self._version = str(change["object"]["metadata"]["resourceVersion"])
                self._heard()

    def _store_change(self, kind_of_change: str, body: Mapping[str, Any]) -> None:
        if kind_of_change == "BOOKMARK":
            return
        try:
            self._store.observe(self.state.resource.kind, body, kind_of_change == "DELETED")
        except Exception:
            # One object that cannot be read must not keep the others from being followed.
            name = body.get("metadata", {}).get("name")
            logger.exception("%s %s: an error of ours", self.state.resource.kind, name)

    def _heard(self) -> None:
        self.state.problem = self.state.refusal = ""
        self.state.heard_at = self._clock()

    @staticmethod
    def _clock() -> float:
        return asyncio.get_running_loop().time()
