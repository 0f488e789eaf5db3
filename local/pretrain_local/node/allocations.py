"""Which address and which GPUs each pod of the node has; remembered on disk, for the next node."""

import logging
import os
import shutil
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pretrain_local.addresses import PODS, Block
from pretrain_local.atomic_files import write_atomically
from pretrain_local.errors import LocalError
from pretrain_local.node import hosts
from pretrain_local.node.api import resources
from pretrain_local.node.api.pods import Pod

_log = logging.getLogger(__name__)


class Placement(BaseModel):
    """What the node has given a pod."""

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
        """Return the pod's line of a hosts file."""
        return hosts.Host(self.namespace, self.hostname, self.subdomain, self.address)


class Registry:
    """The pods of the node, each with a folder below `root`."""

    def __init__(self, root: Path, block: Block, gpus: int) -> None:
        self._root = root
        self._block = block
        self._gpus = gpus
        self._next = 0
        self._placements: dict[str, Placement] = {}
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for uid in os.listdir(root):
            self._load(uid)

    def _load(self, uid: str) -> None:
        try:
            text = (self.folder(uid) / "placement.json").read_bytes()
            self._placements[uid] = Placement.model_validate_json(text)
        except (OSError, ValidationError) as error:
            _log.warning("the folder of pod %s says nothing about it: %s", uid, error)

    def folder(self, uid: str) -> Path:
        """Return the folder of a pod."""
        return self._root / uid

    def on_disk(self) -> list[str]:
        """Return the uids of all pods that have a folder."""
        return os.listdir(self._root)

    def find(self, uid: str) -> Placement | None:
        """Return what a pod has, or None if it has nothing yet."""
        return self._placements.get(uid)

    def find_name(self, namespace: str, name: str) -> Placement | None:
        """Return what the pod of this name has; the newest, if one is being deleted."""
        found = [p for p in self._placements.values() if (p.namespace, p.name) == (namespace, name)]
        return max(found, key=lambda placement: placement.start_time, default=None)

    def place(self, pod: Pod, now: datetime) -> Placement:
        """Return what `pod` has; give it an address and GPUs the first time."""
        known = self._placements.get(pod.metadata.uid)
        if known is not None:
            return known
        placement = Placement(
            uid=pod.metadata.uid,
            namespace=pod.metadata.namespace,
            name=pod.metadata.name,
            hostname=pod.hostname,
            subdomain=pod.spec.subdomain,
            address=self._free_address(),
            start_time=now,
            gpu_numbers=self._free_gpus(pod),
        )
        folder = self.folder(placement.uid)
        folder.mkdir(mode=0o700, exist_ok=True)
        write_atomically(folder / "placement.json", placement.model_dump_json())
        self._placements[placement.uid] = placement
        self._publish(placement)
        return placement

    def release(self, uid: str) -> None:
        """Forget a pod and remove its folder."""
        placement = self._placements.pop(uid, None)
        shutil.rmtree(self.folder(uid), ignore_errors=True)
        if placement is not None and placement.subdomain:
            self._publish_all()

    def addresses(self, namespace: str) -> dict[str, str]:
        """Return the address of every pod name that a pod in `namespace` may use."""
        return hosts.addresses_of((p.host for p in self._placements.values()), namespace)

    def _free_address(self) -> str:
        used = {placement.address for placement in self._placements.values()}
        # Goes round, so that an address is not soon another pod's while clients still know it.
        for _ in range(PODS):
            address = self._block.pod(self._next % PODS)
            self._next += 1
            if address not in used:
                return address
        raise LocalError(f"all {PODS} pod addresses of the node are used")

    def _free_gpus(self, pod: Pod) -> dict[str, tuple[int, ...]]:
        used = {
            number
            for placement in self._placements.values()
            for numbers in placement.gpu_numbers.values()
            for number in numbers
        }
        # The scheduler has counted; a pod that still ends may hold its GPUs a moment longer.
        free = [number for number in range(self._gpus) if number not in used]
        free += sorted(used)
        given: dict[str, tuple[int, ...]] = {}
        for container in pod.spec.containers:
            wanted = resources.gpus(container)
            given[container.name], free = tuple(free[:wanted]), free[wanted:]
        return given

    def _publish(self, new: Placement) -> None:
        if new.subdomain:
            self._publish_all()
        else:
            self._write_hosts(new)

    def _publish_all(self) -> None:
        for placement in self._placements.values():
            self._write_hosts(placement)

    def _write_hosts(self, placement: Placement) -> None:
        everyone = [other.host for other in self._placements.values()]
        hosts.write_hosts(self.folder(placement.uid), hosts.render(everyone, placement.host))
