"""Leader election: of several operators, the one that holds a Lease reconciles.

As client-go does it: who holds the Lease renews it, and another one takes it when it has seen no
renewal for as long as the Lease lasts. Only the own clock counts, and only how long it has been.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pretrain_operator.cluster.api import Api
from pretrain_operator.cluster.resources import LEASE
from pretrain_operator.observed.errors import Refused, Unavailable
from pretrain_operator.observed.objects import parse_integer

logger = logging.getLogger("pretrain_operator")

LEASE_SECONDS = 12
"""How long a Lease lasts after its last renewal."""

RENEW_SECONDS = 3.0
GIVE_UP_SECONDS = 8.0
"""A leader that cannot renew for so long stops, before another one may begin."""

_POLL_SECONDS = 2.0


class LeadershipLost(Exception):
    """Another operator leads, or may lead soon: this one must stop at once."""


class Leadership:
    """The Lease of all operators, from the view of one."""

    def __init__(self, api: Api, namespace: str, name: str, identity: str) -> None:
        self._api, self._namespace, self._name, self._identity = api, namespace, name, identity
        self._seen: tuple[Any, Any] = (None, None)
        self._seen_at = 0.0
        """Since when the Lease has been as it is now, by the own clock."""

    async def acquire(self) -> None:
        """Wait until this operator leads."""
        logger.info("%s waits for Lease %s/%s", self._identity, self._namespace, self._name)
        while True:
            try:
                async with asyncio.timeout(GIVE_UP_SECONDS):
                    if await self._try():
                        logger.info("%s leads", self._identity)
                        return
            except (Refused, Unavailable, TimeoutError) as error:
                logger.warning("cannot acquire the Lease: %s", error or "no answer")
            await asyncio.sleep(_POLL_SECONDS)

    async def keep(self) -> None:
        """Renew the Lease, until that fails.

        Raises:
            LeadershipLost: If another operator has it, or it could not be renewed in time.
        """
        clock = asyncio.get_running_loop().time
        renewed_at = clock()
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            left = GIVE_UP_SECONDS - (clock() - renewed_at)
            try:
                async with asyncio.timeout(max(0.0, left)):
                    if not await self._try():
                        raise LeadershipLost(f"another operator holds Lease {self._name}")
                renewed_at = clock()
            except (Refused, Unavailable, TimeoutError) as error:
                if clock() - renewed_at + RENEW_SECONDS > GIVE_UP_SECONDS:
                    raise LeadershipLost(f"cannot renew Lease {self._name}: {error}") from None

    async def release(self) -> None:
        """Give the Lease up, so that another operator leads at once; errors do not matter."""
        try:
            async with asyncio.timeout(_POLL_SECONDS):
                lease = await self._api.get(LEASE, self._namespace, self._name)
                if lease is not None and _holder(lease) == self._identity:
                    await self._api.replace(LEASE, _with_spec(lease, holderIdentity=""))
        except (Refused, Unavailable, TimeoutError) as error:
            logger.info("the Lease is not released: %s", error or "no answer")

    async def _try(self) -> bool:
        """Acquire or renew the Lease; return whether this operator holds it now."""
        lease = await self._api.get(LEASE, self._namespace, self._name)
        if lease is None:
            metadata = {"name": self._name, "namespace": self._namespace}
            empty = {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata}
            return await self._api.create(LEASE, self._held(empty)) is not None
        if not self._may_take(lease):
            return False
        await self._api.replace(LEASE, self._held(lease))  # a conflict: somebody was faster
        return True

    def _may_take(self, lease: Mapping[str, Any]) -> bool:
        """Return whether the Lease is this operator's, free, or has not been renewed in time."""
        now = asyncio.get_running_loop().time()
        holder = _holder(lease)
        renewal = (holder, (lease.get("spec") or {}).get("renewTime"))
        if renewal != self._seen:
            self._seen, self._seen_at = renewal, now
        return holder in ("", self._identity) or now - self._seen_at > LEASE_SECONDS

    def _held(self, lease: Mapping[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now,
        }
        if _holder(lease) != self._identity:
            transitions = parse_integer(str((lease.get("spec") or {}).get("leaseTransitions", 0)))
            spec |= {"acquireTime": now, "leaseTransitions": transitions + 1}
        return _with_spec(lease, **spec)


def _holder(lease: Mapping[str, Any]) -> str:
    return str((lease.get("spec") or {}).get("holderIdentity") or "")


def _with_spec(lease: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    return {**lease, "spec": {**(lease.get("spec") or {}), **fields}}
