"""Serves the logs of containers to the API server, for `kubectl logs`."""

import asyncio
import ssl
from pathlib import Path

from aiohttp import web

from pretrain_local.control_plane.certificate_requests import KUBELET_CLIENT_USER
from pretrain_local.node.context import NodeContext
from pretrain_local.node.runtime.attempts import (
    attempt_folder,
    attempt_numbers,
    is_running,
)

_POLL_SECONDS = 0.1
_BLOCK_BYTES = 64 * 1024


class LogServer:
    """The node's HTTPS server; only the API server may read."""

    def __init__(self, node: NodeContext) -> None:
        self._node = node

    async def start(self) -> web.AppRunner:
        """Serve until the returned runner is cleaned up."""
        application = web.Application()
        path = "/containerLogs/{namespace}/{pod}/{container}"
        application.router.add_get(path, self._logs)
        application.router.add_route("*", "/{path:.*}", self._unknown)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        pki, state = self._node.files.pki, self._node.state
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=pki / "ca.crt")
        context.load_cert_chain(pki / "node.crt", pki / "node.key")
        context.verify_mode = ssl.CERT_REQUIRED
        await web.TCPSite(
            runner, state.block.host, state.ports.node, ssl_context=context, reuse_address=True
        ).start()
        return runner

    async def _unknown(self, request: web.Request) -> web.Response:
        text = f"the process node serves logs only, not {request.path}"
        return web.Response(status=501, text=text)

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        _require_api_server(request)
        folder = self._attempt(request)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        with open(folder / "log", "rb") as file:
            file.seek(tail_offset(folder / "log", _number(request, "tailLines")))
            limit = _number(request, "limitBytes")
            follows = request.query.get("follow") == "true"
            while limit is None or limit > 0:
                # Before the read, so that the last output of a container that ends is still read.
                may_grow = follows and is_running(folder)
                block = file.read(_BLOCK_BYTES if limit is None else min(limit, _BLOCK_BYTES))
                if block:
                    await response.write(block)
                    limit = None if limit is None else limit - len(block)
                elif may_grow:
                    await asyncio.sleep(_POLL_SECONDS)
                else:
                    break
        return response

    def _attempt(self, request: web.Request) -> Path:
        namespace, pod, container = (
            request.match_info[name] for name in ("namespace", "pod", "container")
        )
        allocation = self._node.allocator.find_by_name(namespace, pod)
        if allocation is None:
            raise web.HTTPNotFound(text=f'pod "{namespace}/{pod}" is not on this node')
        pod_folder = self._node.allocator.folder(allocation.uid)
        numbers = attempt_numbers(pod_folder, container)
        if request.query.get("previous") == "true":
            numbers = numbers[:-1]
        if numbers:
            folder = attempt_folder(pod_folder, container, numbers[-1])
            if (folder / "log").exists():
                return folder
        raise web.HTTPBadRequest(text=f'container "{container}" in pod "{pod}" has no log')


def _require_api_server(request: web.Request) -> None:
    transport = request.transport
    certificate = transport.get_extra_info("peercert") if transport is not None else None
    subject = {key: value for ((key, value),) in (certificate or {}).get("subject", ())}
    if subject.get("commonName") != KUBELET_CLIENT_USER:
        raise web.HTTPForbidden(text=f"only {KUBELET_CLIENT_USER} may read logs")


def _number(request: web.Request, name: str) -> int | None:
    value = request.query.get(name)
    if value is None:
        return None
    if not value.isdigit():
        raise web.HTTPBadRequest(text=f"{name}: {value!r} is not a number")
    return int(value)


def tail_offset(path: Path, lines: int | None) -> int:
    """Return the offset of the last `lines` lines of a file; 0 if `lines` is None."""
    if lines is None:
        return 0
    position = path.stat().st_size
    with open(path, "rb") as file:
        # Newlines to find from the end; one more if the file ends with a newline.
        newlines = lines + 1
        file.seek(max(position - 1, 0))
        if file.read(1) != b"\n":
            newlines = lines
        while position > 0:
            size = min(_BLOCK_BYTES, position)
            position -= size
            file.seek(position)
            block = file.read(size)
            index = len(block)
            while newlines and (index := block.rfind(b"\n", 0, index)) >= 0:
                newlines -= 1
            if newlines == 0:
                return position + index + 1
    return 0
