"""An API server in memory: the requests that the operator makes, with the meaning they have.

It stands behind `Api` in the place of the HTTP client, so paths, bodies, selectors and error codes
are the real ones. It knows resourceVersions (no change, no new one), generations, uid
preconditions, the status subresource, finalizers, garbage collection, pages of lists and watches.
"""

import copy
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubernetes.aio.client.rest import ApiException

from pretrain_api.kinds import KINDS

Json = dict[str, Any]
Name = tuple[str, str, str]
"""Plural of the kind, namespace (empty for cluster-scoped kinds) and name."""

Watcher = Callable[[str, Json, bool], None]
"""Called with kind, object, and whether it was deleted."""

KIND_OF = {
    **{kind.plural: kind.name for kind in KINDS},
    "jobs": "Job",
    "pods": "Pod",
    "configmaps": "ConfigMap",
    "services": "Service",
    "secrets": "Secret",
    "events": "Event",
}
PLURAL_OF = {kind: plural for plural, kind in KIND_OF.items()}
WITH_STATUS = {*(kind.plural for kind in KINDS), "jobs", "pods"}
WRITES = ("post", "patch", "delete")
CREATED_AT = "2026-01-02T03:04:05Z"


class Crashed(BaseException):
    """The process of the operator ends here: nothing of ours may catch it."""


@dataclass(frozen=True)
class Target:
    """What the path of a request means."""

    plural: str
    namespace: str
    name: str
    subresource: str

    @property
    def key(self) -> Name:
        """Return the name of the object."""
        return self.plural, self.namespace, self.name


@dataclass
class Content:
    """The body of a response, as a stream."""

    data: bytes

    async def read(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        head, self.data = self.data[:size], self.data[size:]
        return head


@dataclass
class Response:
    """An answer."""

    body: bytes
    content: Content = field(init=False)

    def __post_init__(self) -> None:
        self.content = Content(self.body)

    async def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)

    def close(self) -> None:
        """Do nothing: there is no connection."""


class MemoryServer:
    """The objects of a cluster, and the answers to requests for them.

    A stored object is never changed, only replaced: whoever got it may keep it.
    """

    def __init__(self) -> None:
        self.objects: dict[Name, Json] = {}
        self.progress: dict[str, bytes] = {}
        """What pods serve at `/progress`, by their name."""
        self.watchers: list[Watcher] = []
        self.refuse: Callable[[str, str], ApiException | None] = lambda method, path: None
        """Called before each request: return an error to answer with it."""
        self.crash_after: int | None = None
        """Writes after which the process of the operator ends, without an answer to the last."""
        self.lose_answer_of: int | None = None
        """The number of a request that takes effect, but whose answer does not arrive."""
        self.requests: list[tuple[str, str]] = []
        self.writes = 0
        self.version = 0
        self._births: Counter[Name] = Counter()

    async def request(self, method: str, path: str, **options: Any) -> Response:
        """Answer one request, as `DynamicClient.request` does."""
        self.requests.append((method, path))
        if (error := self.refuse(method, path)) is not None:
            raise error
        answer = self._answer(method, _parse(path), options)
        if method in WRITES:
            self.writes += 1
            if self.writes == self.crash_after:
                raise Crashed
        if len(self.requests) == self.lose_answer_of:
            raise TimeoutError
        return Response(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

    def clone(self) -> "MemoryServer":
        """Return another server with the same objects, which nobody has asked anything yet."""
        other = MemoryServer()
        other.objects, other.version = dict(self.objects), self.version
        other.progress, other._births = dict(self.progress), Counter(self._births)
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

    def _answer(self, method: str, target: Target, options: Mapping[str, Any]) -> Json | bytes:
        if target.subresource.startswith("proxy/"):
            return self._proxied(target)
        if method == "post":
            return self._create(target, options["body"])
        if method == "get" and not target.name:
            return self._listed(target, options)
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
        fresh = copy.deepcopy(body)
        if target.subresource == "status":
            fresh["status"] = copy.deepcopy(patch["status"])  # its manager owns all of it
        else:
            ignored = ("apiVersion", "kind", "status")
            parts = {name: value for name, value in patch.items() if name not in ignored}
            _merge(fresh, {**parts, "metadata": _without_identity(patch["metadata"])})
        return self._replace(target.key, fresh)

    def _listed(self, target: Target, options: Mapping[str, Any]) -> Json:
        items = [
            body
            for key, body in sorted(self.objects.items())
            if key[0] == target.plural
            and target.namespace in ("", key[1])
            and _selected(body, options.get("label_selector"), options.get("field_selector"))
        ]
        start = int(options.get("_continue") or 0)
        end = start + int(options.get("limit") or len(items) or 1)
        metadata = {"resourceVersion": str(self.version)}
        if end < len(items):
            metadata["continue"] = str(end)
        return {"metadata": metadata, "items": items[start:end]}

    def _proxied(self, target: Target) -> bytes:
        answer = self.progress.get(target.name.split(":")[0])
        if answer is None:
            raise ApiException(status=503, reason="no endpoints available")
        return answer

    def _require_uid(self, target: Target, preconditions: Mapping[str, Any]) -> None:
        uid = self.objects[target.key]["metadata"]["uid"]
        if preconditions.get("uid", uid) != uid:
            raise _conflict(target)

    def _insert(self, key: Name, body: Json) -> Json:
        self._births[key] += 1
        plural, _, name = key
        body["metadata"] |= {
            "uid": f"{plural}-{name}-{self._births[key]}",
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
            leaving = copy.deepcopy(body)
            leaving["metadata"].setdefault("deletionTimestamp", CREATED_AT)
            self._replace(key, leaving)
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


def _parse(path: str) -> Target:
    """Return what `/api/v1/…` or `/apis/GROUP/VERSION/…` means."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    return Target(rest[0], namespace, name, "/".join(rest[2:]))


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


def _selected(body: Json, labels: str | None, fields: str | None) -> bool:
    own = body["metadata"].get("labels") or {}
    if labels is not None and labels not in own:
        return False
    for term in fields.split(",") if fields else ():
        path, _, value = term.partition("=")
        found: Any = body
        for part in path.split("."):
            found = (found or {}).get(part)
        if found != value:
            return False
    return True
