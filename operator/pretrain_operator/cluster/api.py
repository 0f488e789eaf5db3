"""Requests to the API server: create, server-side apply, list, get, patch and delete."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.client.rest import ApiException
from kubernetes.aio.config import ConfigException
from kubernetes.aio.dynamic import DynamicClient
from kubernetes.aio.dynamic.exceptions import DynamicApiError

from pretrain_operator.cluster.resources import ObjectIdentity, Resource
from pretrain_operator.cluster.transport import RetryingTransport, Transport
from pretrain_operator.observed.errors import Refused, Unavailable

CHILD_MANAGER = "pretrain-operator"
STATUS_MANAGER = "pretrain-status"

_TIMEOUT_SECONDS = 30
_WATCH_SECONDS = 300
"""How long the server keeps a watch open."""
_SILENCE_SECONDS = 75
"""How long a watch may be silent: a bookmark comes every minute."""
_WATCH_TIMEOUT = aiohttp.ClientTimeout(sock_connect=_TIMEOUT_SECONDS, sock_read=_SILENCE_SECONDS)
_PAGE = 500
_REFUSALS = (400, 403, 404, 405, 413, 422)
_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


@asynccontextmanager
async def open_api() -> AsyncIterator["Api"]:
    """Connect to the cluster that the process runs in, else to that of `$KUBECONFIG`."""
    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except ConfigException:
        await config.load_kube_config(client_configuration=configuration)
    async with client.ApiClient(configuration) as api_client:
        # All paths are known: no discovery, and so no requests and no cache file for it.
        yield Api(RetryingTransport(DynamicClient(api_client)))


class Api:
    """The requests that the operator makes."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(
        self, resource: Resource, manifest: Mapping[str, Any], manager: str = CHILD_MANAGER
    ) -> dict[str, Any] | None:
        """Create an object; return it, or `None` if its name is taken."""
        path = resource.path(manifest["metadata"]["namespace"])
        try:
            return await self._request("post", path, body=manifest, field_manager=manager)
        except _Conflict:
            return None

    async def apply(
        self, resource: Resource, manifest: Mapping[str, Any], uid: str
    ) -> dict[str, Any]:
        """Apply a child; fails with a conflict unless the existing object has this UID."""
        meta = manifest["metadata"]
        path = resource.path(meta["namespace"], meta["name"])
        return await self._apply(
            path, {**manifest, "metadata": {**meta, "uid": uid}}, CHILD_MANAGER
        )

    async def apply_status(
        self, target: ObjectIdentity, status: Mapping[str, Any], version: str
    ) -> dict[str, Any] | None:
        """Apply a complete status; return the object, or `None` if it is gone.

        Fails with a conflict unless `version` is still the object's resourceVersion: an operator
        that was stopped for a while must not undo what another has written since.
        """
        metadata = {"name": target.name, "uid": target.uid, "resourceVersion": version}
        if target.resource.namespaced:
            metadata["namespace"] = target.namespace
        manifest = {
            "apiVersion": target.resource.api_version,
            "kind": target.resource.kind,
            "metadata": metadata,
            "status": status,
        }
        try:
            return await self._apply(target.path("status"), manifest, STATUS_MANAGER)
        except _NotFound:
            return None

    async def list(
        self, resource: Resource, namespace: str | None, labels: str | None = None
    ) -> tuple[list[dict[str, Any]], str]:
        """Return all objects, and the resourceVersion of the list."""
        items: list[dict[str, Any]] = []
        token, version = None, ""
        while True:
            body = await self._request(
                "get",
                resource.path(namespace),
                limit=_PAGE,
                _continue=token,
                label_selector=labels,
            )
            items += body.get("items") or []
            version = version or str(body["metadata"].get("resourceVersion") or "")
            token = body["metadata"].get("continue")
            if not token:
                return items, version

    async def watch(
        self, resource: Resource, namespace: str | None, labels: str | None, version: str
    ) -> AsyncGenerator[dict[str, Any]]:
        """Yield the changes since `version`, and bookmarks, until the server ends the response.

        The first is a bookmark of `version`: the server has accepted the request.

        Raises:
            Expired: If the server has forgotten the changes since `version`.
            Unavailable: If the connection breaks, or nothing arrives for `_SILENCE_SECONDS`.
        """
        path = resource.path(namespace)
        response = await self._send(
            "get",
            path,
            watch="true",
            resource_version=version,
            label_selector=labels,
            timeout_seconds=_WATCH_SECONDS,
            query_params=[("allowWatchBookmarks", "true")],
            _request_timeout=_WATCH_TIMEOUT,
        )
        try:
            yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": version}}}
            async for line in _lines(response.content):
                change = json.loads(line)
                if change["type"] == "ERROR":
                    raise _watch_error(change["object"], path)
                yield change
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
            raise Unavailable(f"WATCH {path}: {error or 'silence'}") from None
        finally:
            response.close()

    async def first_page(
        self, resource: Resource, namespace: str, fields: str
    ) -> tuple[dict[str, Any], ...]:
        """Return the objects that a field selector matches; at most one page."""
        path = resource.path(namespace)
        body = await self._request("get", path, limit=_PAGE, field_selector=fields)
        return tuple(body.get("items") or ())

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        """Return an object, or `None` if it does not exist."""
        try:
            return await self._request("get", resource.path(namespace, name))
        except _NotFound:
            return None

    async def metadata(
        self, resource: Resource, namespace: str, name: str
    ) -> dict[str, Any] | None:
        """Return only the metadata of an object, or `None` if it does not exist."""
        try:
            body = await self._request(
                "get", resource.path(namespace, name), header_params={"Accept": _METADATA_ONLY}
            )
        except _NotFound:
            return None
        return dict(body["metadata"])

    async def replace(self, resource: Resource, body: Mapping[str, Any]) -> dict[str, Any]:
        """Replace an object; fails with a conflict unless it has still its resourceVersion."""
        meta = body["metadata"]
        path = resource.path(meta["namespace"], meta["name"])
        return await self._request("put", path, body=body, field_manager=CHILD_MANAGER)

    async def merge(self, target: ObjectIdentity, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Merge `patch` into an object; return the result."""
        return await self._request(
            "patch",
            target.path(),
            body={**patch, "metadata": {"uid": target.uid}},
            content_type="application/merge-patch+json",
            field_manager=CHILD_MANAGER,
        )

    async def merge_status(self, target: ObjectIdentity, status: Mapping[str, Any]) -> None:
        """Merge `status` into that of an object if it still exists."""
        try:
            await self._request(
                "patch",
                target.path("status"),
                body={"metadata": {"uid": target.uid}, "status": status},
                content_type="application/merge-patch+json",
                field_manager=CHILD_MANAGER,
            )
        except (_NotFound, _Conflict):
            return

    async def delete(self, target: ObjectIdentity, grace_seconds: int | None = None) -> None:
        """Delete an object if it still exists and, in the background, its dependents.

        Args:
            target: The object.
            grace_seconds: Time that a pod gets to end. `None` means what its spec says.
        """
        options: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": target.uid},
        }
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        try:
            await self._request("delete", target.path(), body=options)
        except (_NotFound, _Conflict):
            return

    async def get_bytes(self, path: str, timeout_seconds: float, limit: int) -> bytes:
        """Return the body of the response at `path`, of any content type.

        Raises:
            ValueError: If it has more than `limit` bytes.
        """
        response = await self._send("get", path, _request_timeout=timeout_seconds)
        try:
            return await read_bounded(response.content, limit)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"GET {path}: {error}") from None
        finally:
            response.close()

    async def _apply(self, path: str, manifest: Mapping[str, Any], manager: str) -> dict[str, Any]:
        return await self._request(
            "patch",
            path,
            body=manifest,
            content_type="application/apply-patch+yaml",
            field_manager=manager,
            force_conflicts=True,
        )

    async def _request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        response = await self._send(method, path, **options)
        try:
            body = await response.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Unavailable(f"{method.upper()} {path}: {error}") from None
        if not isinstance(body, dict):
            raise Unavailable(f"{method.upper()} {path}: the response is no object")
        return body

    async def _send(self, method: str, path: str, **options: Any) -> Any:
        options.setdefault("_request_timeout", _TIMEOUT_SECONDS)
        try:
            return await self._transport.request(method, path, serialize=False, **options)
        except ApiException as error:
            raise _translate(error, method, path) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"{method.upper()} {path}: {reason}") from None


async def read_bounded(content: aiohttp.StreamReader, limit: int) -> bytes:
    """Return the body of a response, without reading much more than `limit` bytes.

    Raises:
        ValueError: If it has more than `limit` bytes.
    """
    body = bytearray()
    while chunk := await content.read(limit + 1 - len(body)):
        body += chunk
    if len(body) > limit:
        raise ValueError(f"the answer has more than {limit} bytes")
    return bytes(body)


class _NotFound(Refused):
    """The object does not exist."""


class Expired(Unavailable):
    """The server has forgotten the changes that a watch asks for."""


class _Conflict(Unavailable):
    """The name is taken, or the object has another UID or version than the request."""


def _translate(error: ApiException, method: str, path: str) -> Refused | Unavailable:
    message = _message(error)
    if error.status == 404:
        return _NotFound(message)
    if error.status == 409:
        return _Conflict(message)
    if error.status == 410:
        return Expired(f"{method.upper()} {path}: 410 {message}")
    if error.status in _REFUSALS:
        return Refused(message)
    return Unavailable(f"{method.upper()} {path}: {error.status} {message}")


def _watch_error(status: Mapping[str, Any], path: str) -> Unavailable:
    """Return the error that a watch reports in its stream."""
    message = str(status.get("message") or status.get("reason") or "no reason")
    kind = Expired if status.get("code") == 410 else Unavailable
    return kind(f"WATCH {path}: {message}")


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield the lines of a response, however long they are."""
    rest = b""
    async for part in content.iter_any():
        *complete, rest = (rest + part).split(b"\n")
        for line in complete:
            yield line


def _message(error: ApiException) -> str:
    """Return the message of a response, or all of its body if that is no `Status`.

    A proxy or an admission webhook may have written it.
    """
    try:
        text = error.summary() if isinstance(error, DynamicApiError) else error.reason
    except (ValueError, AttributeError):
        text = error.body
    return text.decode(errors="replace") if isinstance(text, bytes) else str(text)
