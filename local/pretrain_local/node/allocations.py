"""Allocation of IP addresses and GPUs to pods, stored on disk for a restarted node."""

import logging
import os
import shutil
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pretrain_local.addresses import POD_ADDRESSES, LoopbackBlock
from pretrain_local.atomic_files import write_atomically
from pretrain_local.errors import LocalError
from pretrain_local.node import hosts
from pretrain_local.node.api import resources
from pretrain_local.node.api.pods import Pod

_log = logging.getLogger(__name__)

_RECORD = "placement.json"


class PodAllocation(BaseModel):
    """What the node has allocated to a pod; the content of `placement.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uid: str
    namespace: str
    name: str
    hostname: str
    subdomain: str
    address: str
    start_time: datetime
    gpu_numbers: dict[str, tuple[int, ...]]
    """By container."""

    @property
    def host(self) -> hosts.Host:
        """Return the pod's entry in hosts files."""
        return hosts.Host(self.namespace, self.hostname, self.subdomain, self.address)


class Allocator:
    """The allocations of all pods of the node; each pod has a folder below `root`."""

    def __init__(self, root: Path, block: LoopbackBlock, gpus: int) -> None:
        """Read the allocations of an earlier node from `root`."""
        self._root = root
        self._block = block
        self._gpus = gpus
        self._next_index = 0
        self._allocations: dict[str, PodAllocation] = {}
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for uid in os.listdir(root):
            self._load(uid)

    def _load(self, uid: str) -> None:
        try:
            text = (self.folder(uid) / _RECORD).read_bytes()
            self._allocations[uid] = PodAllocation.model_validate_json(text)
        except (OSError, ValidationError) as error:
            _log.warning("the folder of pod %s holds no valid %s: %s", uid, _RECORD, error)

    def folder(self, uid: str) -> Path:
        """Return the folder of a pod."""
        return self._root / uid

    def on_disk(self) -> list[str]:
        """Return the uids of all pods that have a folder."""
        return os.listdir(self._root)

    def find(self, uid: str) -> PodAllocation | None:
        """Return the allocation of a pod, or None if it has none yet."""
        return self._allocations.get(uid)

    def find_by_name(self, namespace: str, name: str) -> PodAllocation | None:
        """Return the allocation of the pod of this name; the newest, if one is being deleted."""
        matches = [
            allocation
            for allocation in self._allocations.values()
            if (allocation.namespace, allocation.name) == (namespace, name)
        ]
        return max(matches, key=lambda allocation: allocation.start_time, default=None)

    def allocate(self, pod: Pod, now: datetime) -> PodAllocation:
        """Return the allocation of `pod`; allocate an address and GPUs the first time."""
        existing = self._allocations.get(pod.metadata.uid)
        if existing is not None:
            return existing
        allocation = PodAllocation(
            uid=pod.metadata.uid,
            namespace=pod.metadata.namespace,
            name=pod.metadata.name,
            hostname=pod.hostname,
            subdomain=pod.spec.subdomain,
            address=self._free_address(),
            start_time=now,
            gpu_numbers=self._free_gpus(pod),
        )
        folder = self.folder(allocation.uid)
        folder.mkdir(mode=0o700, exist_ok=True)
        write_atomically(folder / _RECORD, allocation.model_dump_json())
        self._allocations[allocation.uid] = allocation
        # Only pods with a subdomain are in the hosts files of other pods.
        self._write_hosts(list(self._allocations.values()) if pod.spec.subdomain else [allocation])
        return allocation

    def release(self, uid: str) -> None:
        """Remove the allocation and the folder of a pod."""
        allocation = self._allocations.pop(uid, None)
        shutil.rmtree(self.folder(uid), ignore_errors=True)
        if allocation is not None and allocation.subdomain:
            self._write_hosts(list(self._allocations.values()))

    def host_addresses(self, namespace: str) -> dict[str, str]:
        """Return the addresses of pods by all names that resolve in `namespace`."""
        return hosts.addresses_by_name((a.host for a in self._allocations.values()), namespace)

    def _free_address(self) -> str:
        used = {allocation.address for allocation in self._allocations.values()}
        # Round robin: a released address is reused late, when clients no longer have it cached.
        for _ in range(POD_ADDRESSES):
            address = self._block.pod(self._next_index % POD_ADDRESSES)
            self._next_index += 1
            if address not in used:
                return address
        raise LocalError(f"all {POD_ADDRESSES} pod addresses of the node are used")

    def _free_gpus(self, pod: Pod) -> dict[str, tuple[int, ...]]:
        used = {
            number
            for allocation in self._allocations.values()
            for numbers in allocation.gpu_numbers.values()
            for number in numbers
        }
        free = [number for number in range(self._gpus) if number not in used]
        # The scheduler admits a pod as soon as another one ends, which may hold its GPUs longer.
        free += sorted(used)
        numbers_by_container: dict[str, tuple[int, ...]] = {}
        for container in pod.spec.containers:
            count = resources.gpus(container)
            numbers_by_container[container.name], free = tuple(free[:count]), free[count:]
        return numbers_by_container

    def _write_hosts(self, allocations: list[PodAllocation]) -> None:
        """Write the hosts files of the given pods."""
        entries = [allocation.host for allocation in self._allocations.values()]
        for allocation in allocations:
            text = hosts.render(entries, allocation.host)
            hosts.write_hosts(self.folder(allocation.uid), text)
