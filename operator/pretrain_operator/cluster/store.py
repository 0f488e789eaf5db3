"""The cache of the operator: the newest version of our objects, their Jobs and their pods.

Watches, lists and the responses to the operator's own writes all update it, so that a reconcile
reads what the one before it wrote.
"""

import math
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from pretrain_api.kinds import KINDS
from pretrain_api.meta import KIND_LABEL, NAME_LABEL
from pretrain_operator.cluster.index import Index, NamespacedName, version_number
from pretrain_operator.observed.jobs import ObservedJob, parse_job
from pretrain_operator.observed.objects import Key, ObservedObject, parse_object
from pretrain_operator.observed.pods import ObservedPod, parse_pod
from pretrain_operator.observed.references import ANY_PROFILE, references

_KINDS = {kind.name.lower(): kind.name for kind in KINDS}
_MAX_DELETED = 20_000


Listener = Callable[[Key, bool], None]
"""Called with the object to reconcile after a change, and whether to reconcile its dependents."""

_WATCHED = ("artifact", "conditions", "message", "observedGeneration")
"""Fields of a status that dependents read; a change of its other fields does not concern them."""


def owner_key(body: Mapping[str, Any]) -> Key | None:
    """Return the object that the labels of a child name."""
    meta = body["metadata"]
    labels = meta.get("labels") or {}
    kind = _KINDS.get(labels.get(KIND_LABEL, ""))
    if kind is None or NAME_LABEL not in labels:
        return None
    return Key(kind, meta.get("namespace") or "", labels[NAME_LABEL])


class Store:
    """Objects of our kinds, our Jobs and their pods."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._objects: dict[str, Index[ObservedObject]] = {kind.name: Index() for kind in KINDS}
        self._jobs: Index[ObservedJob] = Index()
        self._pods: Index[ObservedPod] = Index()
        self._dependents: defaultdict[Key, set[Key]] = defaultdict(set)
        self._deleted: OrderedDict[str, float] = OrderedDict()
        """The last version that may still arrive late, by the UID of a removed object."""

    def observe(self, kind: str, body: Mapping[str, Any], deleted: bool) -> None:
        """Store one version of an object, as a watch reports it."""
        if deleted:
            self.drop(kind, body)
        else:
            self.upsert(kind, body)

    def upsert(self, kind: str, body: Mapping[str, Any]) -> None:
        """Store a version of an object, unless the stored one is as new or it was deleted."""
        meta = body["metadata"]
        if version_number(meta.get("resourceVersion") or "") <= self._deleted.get(meta["uid"], -1):
            return
        name = (meta.get("namespace") or "", meta["name"])
        if kind == "Job":
            self._upsert_child(self._jobs, name, parse_job(body), owner_key(body))
        elif kind == "Pod":
            self._upsert_child(self._pods, name, parse_pod(body), owner_key(body))
        else:
            self._upsert_object(kind, name, parse_object(kind, body))

    def _upsert_child[T: ObservedJob | ObservedPod](
        self, index: Index[T], name: NamespacedName, child: T, owner: Key | None
    ) -> None:
        previous = index.owners.get(name)
        if index.upsert(name, child, owner):
            for concerned in dict.fromkeys((previous, owner)):
                self._notify(concerned)

    def _upsert_object(self, kind: str, name: NamespacedName, observed: ObservedObject) -> None:
        old = self.get(observed.key)
        if self._objects[kind].upsert(name, observed, None):
            self._link(old, observed)
            self._listener(observed.key, old is None or _differs(old, observed))

    def _notify(self, owner: Key | None) -> None:
        if owner is not None:
            self._listener(owner, False)

    def drop(self, kind: str, body: Mapping[str, Any]) -> None:
        """Remove a deleted object; versions of it that arrive later are ignored."""
        meta = body["metadata"]
        self._drop(kind, (meta.get("namespace") or "", meta["name"]), meta["uid"], math.inf)

    def replace(self, kind: str, bodies: Iterable[Mapping[str, Any]], version: str) -> None:
        """Store a complete list of `version`; remove older objects that it does not contain.

        These were deleted, or have lost their labels: with them, they come back.
        """
        listed = set()
        for body in bodies:
            meta = body["metadata"]
            listed.add((meta.get("namespace") or "", meta["name"]))
            self.upsert(kind, body)
        newest = version_number(version)
        for name, item in list(self._index(kind).items.items()):
            if name not in listed and version_number(item.resource_version) <= newest:
                self._drop(kind, name, item.uid, newest)

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
        controlled = [job for job in self._jobs.of(owner.key) if job.owner_uid == owner.uid]
        return tuple(self._with_pods(controlled, owner.key))

    def pods(self, owner: ObservedObject) -> tuple[ObservedPod, ...]:
        """Return the pods of `owner`, of its deleted Jobs, and of earlier objects of its name.

        A pod with copied labels is ignored: it has no Job, or a Job that no object controls.
        """
        jobs = {job.uid: job for job in self._jobs.of(owner.key)}
        return tuple(
            pod
            for pod in self._pods.of(owner.key)
            if pod.job_uid and (pod.job_uid not in jobs or jobs[pod.job_uid].owner_uid)
        )

    def dependents(self, key: Key) -> set[Key]:
        """Return the objects that refer to the object `key`, directly or through others."""
        found: set[Key] = set()
        pending = {key, ANY_PROFILE} if key.kind == ANY_PROFILE.kind else {key}
        while pending:
            new = self._dependents.get(pending.pop(), set()) - found
            found |= new
            pending |= new
        return found

    def _with_pods(self, jobs: list[ObservedJob], owner: Key) -> list[ObservedJob]:
        pods: defaultdict[str, list[ObservedPod]] = defaultdict(list)
        for pod in self._pods.of(owner):
            pods[pod.job_uid].append(pod)
        return [
            replace(job, pods=tuple(sorted(pods[job.uid], key=lambda pod: (pod.rank, pod.name))))
            for job in jobs
        ]

    def _drop(self, kind: str, name: NamespacedName, uid: str, last_version: float) -> None:
        self._deleted[uid] = last_version
        while len(self._deleted) > _MAX_DELETED:
            self._deleted.popitem(last=False)
        index = self._index(kind)
        item = index.items.get(name)
        if item is None or item.uid != uid:
            return
        owner = index.owners.get(name)
        index.drop(name)
        if isinstance(item, ObservedObject):
            self._link(item, None)
            self._listener(item.key, True)
        else:
            self._notify(owner)

    def _link(self, old: ObservedObject | None, new: ObservedObject | None) -> None:
        if old is not None:
            for target in references(old):
                self._dependents[target].discard(old.key)
        if new is not None:
            for target in references(new):
                self._dependents[target].add(new.key)

    def _index(self, kind: str) -> "Index[Any]":
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
