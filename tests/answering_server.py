"""A server that answers like an API server to a client that reads objects."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

JOB: dict[str, Any] = {"metadata": {"name": "run"}, "spec": {}}


def use_server(monkeypatch: pytest.MonkeyPatch, folder: Path, port: int) -> None:
    """Point the clients of this process to a port of this machine."""
    parts = {
        "clusters": [{"name": "x", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "x", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump({"current-context": "x", **parts}), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(path))


@contextmanager
def serve(answers: dict[str, int], job: dict[str, Any] | None = None) -> Iterator[int]:
    """Answer requests for a plural with a status, and with `job` if the status is 200."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = next(answers[part] for part in self.path.split("/") if part in answers)
            body = json.dumps(job or JOB).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
