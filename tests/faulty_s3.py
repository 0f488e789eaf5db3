"""A proxy before an S3 server that disturbs every n-th request, as real networks and stores do."""

import itertools
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from s3 import ADDRESS, S3Server

FAULTS = ("500", "503", "reset", "lost", "cut")
"""An internal error; too many requests; a connection that breaks before the request arrives, or
after it has taken effect; an answer of which only half arrives."""

_BLOCK = 64 * 1024


@dataclass
class FaultPlan:
    """Which requests are disturbed."""

    every: int
    """Every so many requests one is disturbed. 0 means none."""
    kinds: tuple[str, ...] = FAULTS
    """What happens to them, in turn."""
    always: str | None = None
    """What happens to every request below `below`."""
    below: str = ""
    """Part of the paths that `always` is for."""
    done: Counter[str] = field(default_factory=Counter)
    """How often each fault has happened."""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fault_of(self, path: str) -> str | None:
        """Return what happens to the next request."""
        with self._lock:
            kind = None
            if self.always is not None and self.below in path:
                kind = self.always
            elif self.every and (number := next(self._numbers)) % self.every == 0:
                kind = self.kinds[number // self.every % len(self.kinds)]
            if kind is not None:
                self.done[kind] += 1
            return kind


@contextmanager
def faulty_s3(server: S3Server, plan: FaultPlan) -> Iterator[S3Server]:
    """Give the same server behind a proxy."""
    target = urlsplit(server.endpoint)
    handler = type("Handler", (_Proxy,), {"target": (target.hostname, target.port), "plan": plan})
    with ThreadingHTTPServer((ADDRESS, 0), handler) as proxy:
        proxy.daemon_threads = True
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield S3Server(f"http://{ADDRESS}:{proxy.server_port}", server.folder)
        finally:
            proxy.shutdown()
            thread.join()


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target: tuple[str, int]
    plan: FaultPlan

    def do_GET(self) -> None:
        """Pass on any request."""
        fault = self.plan.fault_of(self.path)
        if fault == "reset":
            return self._break()
        body = self._body()
        if fault is not None and fault.isdecimal():
            return self._refuse(int(fault))
        connection = HTTPConnection(*self.target, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("expect", "connection"):
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        if fault == "lost":
            return self._break()
        self._pass_on(answer, is_cut=fault == "cut")
        connection.close()
        return None

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815

    def _body(self) -> bytes:
        """Read the body as it is on the wire, chunks included."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while True:
                line = self.rfile.readline()
                size = int(line.split(b";")[0], 16)
                parts += [line, self.rfile.read(size + 2)]
                if size == 0:
                    return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _pass_on(self, answer: HTTPResponse, is_cut: bool) -> None:
        self.send_response(answer.status)
        content = b"" if self.command == "HEAD" else answer.read()
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else len(content)
        if answer.status not in (204, 304):
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if is_cut else content)
        if is_cut:
            self._break()

    def _refuse(self, status: int) -> None:
        code = {500: "InternalError", 503: "SlowDown", 403: "AccessDenied", 404: "NoSuchKey"}
        text = f"<Error><Code>{code[status]}</Code><Message>a test</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def _break(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Log nothing."""
