"""What we know of the cluster: the newest version of every object that concerns us.

Watches, lists and the answers to our own writes all end here, so that a reconcile sees what the
one before it did. Whatever comes late is told by its resourceVersion.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pretrain_api.kinds import KINDS
from pretrain_api.meta import KIND_LABEL, NAME_LABEL
from pretrain_operator.observed.jobs import ObservedJob, parse_job
from pretrain_operator.observed.objects import Key, ObservedObject, parse_object
from pretrain_operator.observed.pods import ObservedPod, parse_pod
from pretrain_operator.observed.references import ANY_PROFILE, references

_KINDS = {kind.name.lower(): kind.name for kind in KINDS}
_REMEMBERED_DELETIONS = 20_000

Item = ObservedObject | ObservedJob | ObservedPod

Listener = Callable[[Key, bool], None]
"""Called with the object that a change concerns, and whether it matters to those that refer to it.
"""

_WATCHED = ("artifact", "conditions", "message", "observedGeneration")
"""Fields of a status that others look at; its progress and stages are nobody else's business."""


def owner_key(body: Mapping[str, Any]) -> Key | None:
    """Return the object that a child's labels name."""
    meta = body["metadata"]
    labels = meta.get("labels") or {}
    kind = _KINDS.get(labels.get(KIND_LABEL, ""))
    if kind is None or NAME_LABEL not in labels:
        return None
    return Key(kind, meta.get("namespace") or "", labels[NAME_LABEL])


@dataclass
class _Shelf[T: Item]:
    """All objects of one kind by namespace and name, and by owner."""

    items: dict[tuple[str, str], T] = field(default_factory=dict)
    owners: dict[tuple[str, str], Key] = field(default_factory=dict)
    owned: defaultdict[Key, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))

    def put(self, place: tuple[str, str], item: T, owner: Key | None) -> bool:
        old = self.items.get(place)
        if old is not None and old.uid == item.uid and not _is_newer(item, old):
            return False
        self.items[place] = item
        if owner is not None:
            self.owners[place] = owner
            self.owned[owner].add(place)
        return True

    def drop(self, place: tuple[str, str]) -> None:
        self.items.pop(place, None)
        owner = self.owners.pop(place, None)
        if owner is not None:
            self.owned[owner].discard(place)
            if not self.owned[owner]:
                del self.owned[owner]

    def of(self, owner: Key) -> list[T]:
        return [self.items[place] for place in sorted(self.owned.get(owner, ()))]


class Store:
    """Objects of our kinds, our Jobs and their pods."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._objects: dict[str, _Shelf[ObservedObject]] = {kind.name: _Shelf() for kind in KINDS}
        self._jobs: _Shelf[ObservedJob] = _Shelf()
        self._pods: _Shelf[ObservedPod] = _Shelf()
        self._dependents: defaultdict[Key, set[Key]] = defaultdict(set)
        self._deleted: OrderedDict[str, None] = OrderedDict()

    def put(self, kind: str, body: Mapping[str, Any]) -> None:
        """Take in a version of an object, if it is news."""
        meta = body["metadata"]
        if meta["uid"] in self._deleted:
            return
        place = (meta.get("namespace") or "", meta["name"])
        if kind == "Job":
            if self._jobs.put(place, parse_job(body), owner_key(body)):
                self._tell(self._jobs.owners.get(place))
        elif kind == "Pod":
            if self._pods.put(place, parse_pod(body), owner_key(body)):
                self._tell(self._pods.owners.get(place))
        else:
            self._put_object(kind, place, parse_object(kind, body))

    def _put_object(self, kind: str, place: tuple[str, str], observed: ObservedObject) -> None:
        old = self.get(observed.key)
        if self._objects[kind].put(place, observed, None):
            self._link(old, observed)
            self._listener(observed.key, old is None or _differs(old, observed))

    def _tell(self, owner: Key | None) -> None:
        if owner is not None:
            self._listener(owner, False)

    def drop(self, kind: str, body: Mapping[str, Any]) -> None:
        """Take note that an object is gone for good."""
        meta = body["metadata"]
        self._drop(kind, (meta.get("namespace") or "", meta["name"]), meta["uid"])

    def replace(self, kind: str, bodies: Iterable[Mapping[str, Any]], version: str) -> None:
        """Take in a complete list as of `version`: what is older and not in it is gone."""
        seen = set()
        for body in bodies:
            meta = body["metadata"]
            seen.add((meta.get("namespace") or "", meta["name"]))
            self.put(kind, body)
        for place, item in list(self._shelf(kind).items.items()):
            if place not in seen and _number(item.resource_version) <= _number(version):
                self._drop(kind, place, item.uid)

    def get(self, key: Key) -> ObservedObject | None:
        """Return the object `key`."""
        return self._objects[key.kind].items.get((key.namespace, key.name))

    def all(self, kind: str) -> list[ObservedObject]:
        """Return all objects of one of our kinds."""
        return list(self._objects[kind].items.values())

    def job(self, namespace: str, name: str) -> ObservedJob | None:
        """Return one Job, with its pods."""
        job = self._jobs.items.get((namespace, name))
        owner = self._jobs.owners.get((namespace, name))
        return self._with_pods([job], owner)[0] if job and owner else job

    def jobs(self, owner: ObservedObject) -> tuple[ObservedJob, ...]:
        """Return the Jobs that `owner` controls, with their pods."""
        mine = [job for job in self._jobs.of(owner.key) if job.owner_uid == owner.uid]
        return tuple(self._with_pods(mine, owner.key))

    def pods(self, owner: ObservedObject) -> tuple[ObservedPod, ...]:
        """Return the pods of `owner`, also of Jobs that are gone and of its namesakes before it.

        Pods that merely carry its labels are of no Job, or of a Job that nothing controls.
        """
        jobs = {job.uid: job for job in self._jobs.of(owner.key)}
        return tuple(
            pod
            for pod in self._pods.of(owner.key)
            if pod.job_uid and (pod.job_uid not in jobs or jobs[pod.job_uid].owner_uid)
        )

    def dependents(self, key: Key) -> set[Key]:
        """Return the objects that refer to the object `key`."""
        found = set(self._dependents.get(key, ()))
        return found | self._dependents.get(ANY_PROFILE, set()) if _is_profile(key) else found

    def _with_pods(self, jobs: list[ObservedJob], owner: Key) -> list[ObservedJob]:
        pods: defaultdict[str, list[ObservedPod]] = defaultdict(list)
        for pod in self._pods.of(owner):
            pods[pod.job_uid].append(pod)
        return [
            replace(job, pods=tuple(sorted(pods[job.uid], key=lambda pod: (pod.rank, pod.name))))
            for job in jobs
        ]

    def _drop(self, kind: str, place: tuple[str, str], uid: str) -> None:
        self._deleted[uid] = None
        while len(self._deleted) > _REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)
        shelf = self._shelf(kind)
        item = shelf.items.get(place)
        if item is None or item.uid != uid:
            return
        owner = shelf.owners.get(place)
        shelf.drop(place)
        if isinstance(item, ObservedObject):
            self._link(item, None)
            self._listener(item.key, True)
        else:
            self._tell(owner)

    def _link(self, old: ObservedObject | None, new: ObservedObject | None) -> None:
        for target in references(old) if old else ():
            self._dependents[target].discard(old.key)  # type: ignore[union-attr]
        for target in references(new) if new else ():
            self._dependents[target].add(new.key)  # type: ignore[union-attr]

    def _shelf(self, kind: str) -> "_Shelf[Any]":
        if kind == "Job":
            return self._jobs
        return self._pods if kind == "Pod" else self._objects[kind]


def _differs(before: ObservedObject, after: ObservedObject) -> bool:
    return (
        before.uid != after.uid
        or before.generation != after.generation
        or before.annotations != after.annotations
        or before.deleting != after.deleting
        or any(before.status.get(name) != after.status.get(name) for name in _WATCHED)
    )


def _is_profile(key: Key) -> bool:
    return key.kind == ANY_PROFILE.kind


def _is_newer(item: Item, old: Item) -> bool:
    return _number(item.resource_version) > _number(old.resource_version)


def _number(version: str) -> int:
    """Return a resourceVersion as the number that it is, since Kubernetes 1.35 by contract."""
    return int(version) if version.isdigit() else 0
