"""An API server in memory, for the requests that the operator makes.

It replaces the HTTP client of `Api`, so paths, bodies, selectors and error codes are the real ones.
It implements resourceVersions (unchanged by a write without effect), generations, UID
preconditions, the status subresource, finalizers, garbage collection, paged lists and watches.
"""

import asyncio
import copy
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from kubernetes.aio.client.rest import ApiException

from memory_requests import Json, Name, Response, Target, is_selected, parse_path
from pretrain_api.kinds import KINDS

Watcher = Callable[[str, Json, bool], None]
"""Called with the kind, the object, and whether it was deleted."""

KIND_OF = {
    **{kind.plural: kind.name for kind in KINDS},
    "jobs": "Job",
    "pods": "Pod",
    "configmaps": "ConfigMap",
    "services": "Service",
    "secrets": "Secret",
    "events": "Event",
    "leases": "Lease",
}
PLURAL_OF = {kind: plural for plural, kind in KIND_OF.items()}
WITH_STATUS = {*(kind.plural for kind in KINDS), "jobs", "pods"}
WRITES = ("post", "put", "patch", "delete")
CREATED_AT = "2026-01-02T03:04:05Z"


class Crashed(BaseException):
    """The process of the operator ends here; a BaseException, so that the operator lets it pass."""


class MemoryServer:
    """The objects of a cluster, and the responses to requests for them.

    A stored object is never changed, only replaced: it may be returned without a copy.
    """

    def __init__(self) -> None:
        self.objects: dict[Name, Json] = {}
        self.progress: dict[str, bytes] = {}
        """What pods serve at `/progress`, by the name of the pod."""
        self.watchers: list[Watcher] = []
        self.refuse: Callable[[str, str], ApiException | None] = lambda method, path: None
        """Called before each request; an error that it returns is the response."""
        self.crash_after: int | None = None
        """Writes after which the operator crashes, before it gets the last response."""
        self.lose_response_of: int | None = None
        """The number of a request that takes effect, but whose response is lost."""
        self.requests: list[tuple[str, str]] = []
        self.writes = 0
        self.version = 0
        self._creations: Counter[Name] = Counter()
        """How many objects each name has had, for their UIDs."""

    async def request(self, method: str, path: str, **options: Any) -> Response:
        """Answer one request, as `DynamicClient.request` does."""
        if options.get("watch"):
            await asyncio.Event().wait()  # it tells nothing: `watchers` hear of changes at once
        self.requests.append((method, path))
        if (error := self.refuse(method, path)) is not None:
            raise error
        body = self._respond(method, parse_path(path), options)
        if method in WRITES:
            self.writes += 1
            if self.writes == self.crash_after:
                raise Crashed
        if len(self.requests) == self.lose_response_of:
            raise TimeoutError
        return Response(body if isinstance(body, bytes) else json.dumps(body).encode())

    def clone(self) -> "MemoryServer":
        """Return another server with the same objects, and without requests and watchers."""
        other = MemoryServer()
        other.objects, other.version = dict(self.objects), self.version
        other.progress, other._creations = dict(self.progress), Counter(self._creations)
        return other

    def get(self, kind: str, name: str, namespace: str = "default") -> Json | None:
        """Return an object as it is now."""
        scope = "" if kind == "ComputeProfile" else namespace
        return self.objects.get((PLURAL_OF[kind], scope, name))

    def list(self, kind: str) -> list[Json]:
        """Return all objects of a kind."""
        plural = PLURAL_OF[kind]
        return [body for key, body in sorted(self.objects.items()) if key[0] == plural]

    def put(self, kind: str, body: Mapping[str, Any]) -> Json:
        """Create or replace an object as another client would, with its status."""
        meta = dict(body["metadata"])
        scope = "" if kind == "ComputeProfile" else meta.get("namespace", "default")
        key = (PLURAL_OF[kind], scope, meta["name"])
        old = self.objects.get(key)
        fresh = {**copy.deepcopy(dict(body)), "kind": kind}
        if scope:
            fresh["metadata"]["namespace"] = scope
        if old is None:
            return self._insert(key, fresh)
        fresh["metadata"] = {**old["metadata"], **fresh["metadata"]}
        return self._replace(key, fresh)

    def remove(self, kind: str, name: str, namespace: str = "default") -> None:
        """Delete an object as another client would."""
        scope = "" if kind == "ComputeProfile" else namespace
        self._delete((PLURAL_OF[kind], scope, name))

    def _respond(self, method: str, target: Target, options: Mapping[str, Any]) -> Json | bytes:
        if target.subresource.startswith("proxy/"):
            return self._proxied(target)
        if method == "post":
            return self._create(target, options["body"])
        if method == "get" and not target.name:
            return self._list(target, options)
        if method == "patch" and target.key not in self.objects and not target.subresource:
            raise _conflict(target)  # an apply with a uid creates nothing
        body = self.objects.get(target.key)
        if body is None:
            raise ApiException(status=404, reason=f"{target.plural} {target.name!r} not found")
        if method == "get":
            return body
        if method == "delete":
            self._require_uid(target, options["body"].get("preconditions") or {})
            self._delete(target.key)
            return {"kind": "Status", "status": "Success"}
        if method == "put":
            if (
                options["body"]["metadata"]["resourceVersion"]
                != body["metadata"]["resourceVersion"]
            ):
                raise _conflict(target)
            return self._replace(target.key, copy.deepcopy(options["body"]))
        return self._patch(target, body, options)

    def _create(self, target: Target, manifest: Json) -> Json:
        meta = manifest["metadata"]
        key = (target.plural, target.namespace, meta["name"])
        if key in self.objects:
            raise _conflict(target)
        body = copy.deepcopy(manifest)
        if target.plural in WITH_STATUS:
            body.pop("status", None)
        return self._insert(key, body)

    def _patch(self, target: Target, body: Json, options: Mapping[str, Any]) -> Json:
        patch = options["body"]
        self._require_uid(target, patch["metadata"])
        version = body["metadata"]["resourceVersion"]
        if patch["metadata"].get("resourceVersion", version) != version:
            raise _conflict(target)
        fresh = copy.deepcopy(body)
        if target.subresource == "status":
            fresh["status"] = copy.deepcopy(patch["status"])  # its manager owns all of it
        else:
            ignored = ("apiVersion", "kind", "status")
            parts = {name: value for name, value in patch.items() if name not in ignored}
            _merge(fresh, {**parts, "metadata": _without_identity(patch["metadata"])})
        return self._replace(target.key, fresh)

    def _list(self, target: Target, options: Mapping[str, Any]) -> Json:
        items = [
            body
            for key, body in sorted(self.objects.items())
            if key[0] == target.plural
            and target.namespace in ("", key[1])
            and is_selected(body, options.get("label_selector"), options.get("field_selector"))
        ]
        start = int(options.get("_continue") or 0)
        end = start + int(options.get("limit") or len(items) or 1)
        metadata = {"resourceVersion": str(self.version)}
        if end < len(items):
            metadata["continue"] = str(end)
        return {"metadata": metadata, "items": items[start:end]}

    def _proxied(self, target: Target) -> bytes:
        progress = self.progress.get(target.name.split(":")[0])
        if progress is None:
            raise ApiException(status=503, reason="no endpoints available")
        return progress

    def _require_uid(self, target: Target, preconditions: Mapping[str, Any]) -> None:
        uid = self.objects[target.key]["metadata"]["uid"]
        if preconditions.get("uid", uid) != uid:
            raise _conflict(target)

    def _insert(self, key: Name, body: Json) -> Json:
        self._creations[key] += 1
        plural, _, name = key
        body["metadata"] |= {
            "uid": f"{plural}-{name}-{self._creations[key]}",
            "generation": 1,
            "creationTimestamp": CREATED_AT,
        }
        body.setdefault("kind", KIND_OF[plural])
        return self._store(key, body)

    def _replace(self, key: Name, fresh: Json) -> Json:
        old = self.objects[key]
        if fresh == old:
            return old
        if fresh.get("spec") != old.get("spec"):
            fresh["metadata"]["generation"] = old["metadata"]["generation"] + 1
        return self._store(key, fresh)

    def _store(self, key: Name, body: Json) -> Json:
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self.objects[key] = body
        self._notify(key, body, deleted=False)
        return body

    def _delete(self, key: Name) -> None:
        body = self.objects[key]
        if body["metadata"].get("finalizers"):
            deleting = copy.deepcopy(body)
            deleting["metadata"].setdefault("deletionTimestamp", CREATED_AT)
            self._replace(key, deleting)
            return
        self.version += 1
        del self.objects[key]
        self._notify(key, body, deleted=True)
        uid = body["metadata"]["uid"]
        for child, other in list(self.objects.items()):
            owners = other["metadata"].get("ownerReferences") or []
            if child in self.objects and any(owner["uid"] == uid for owner in owners):
                self._delete(child)

    def _notify(self, key: Name, body: Json, deleted: bool) -> None:
        for watcher in self.watchers:
            watcher(KIND_OF[key[0]], body, deleted)


def _conflict(target: Target) -> ApiException:
    return ApiException(status=409, reason=f"{target.plural} {target.name!r}: conflict")


def _without_identity(metadata: Mapping[str, Any]) -> Json:
    return {key: value for key, value in metadata.items() if key != "uid"}


def _merge(target: Json, patch: Mapping[str, Any]) -> None:
    for key, value in patch.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = copy.deepcopy(value)
