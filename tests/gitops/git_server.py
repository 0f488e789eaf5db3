"""A Git repository, served by git's own HTTP backend."""

import os
import subprocess
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import yaml

Json = dict[str, Any]
_AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "team"), ("EMAIL", "team@example.com"))
}


class GitServer:
    """A repository with the branch `main`, and a folder in which commits are made."""

    def __init__(self, folder: Path) -> None:
        self._bare, self._work = folder / "training.git", folder / "work"
        self._git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self._bare))
        self._git(folder, "clone", "--quiet", str(self._bare), str(self._work))
        self._git(self._work, "checkout", "--quiet", "-b", "main")
        handler = type("Handler", (_Backend,), {"root": folder})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self._server.server_port}/training.git"

    def commit(self, files: Mapping[str, Json | None], message: str) -> str:
        """Write manifests, remove those that are `None`, and push; return the commit."""
        for name, manifest in files.items():
            path = self._work / name
            if manifest is None:
                path.unlink()
            else:
                path.write_text(yaml.safe_dump(manifest, allow_unicode=True), encoding="utf-8")
        self._git(self._work, "add", "--all")
        self._git(self._work, "commit", "--quiet", "-m", message)
        return self._push()

    def revert(self) -> str:
        """Undo the last commit; return the commit that does."""
        self._git(self._work, "revert", "--no-edit", "HEAD")
        return self._push()

    def _push(self) -> str:
        self._git(self._work, "push", "--quiet", "origin", "main")
        return self._git(self._work, "rev-parse", "HEAD").strip()

    def _git(self, folder: Path, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env={**os.environ, **_AUTHOR},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def __enter__(self) -> Self:
        """Serve."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


class _Backend(BaseHTTPRequestHandler):
    """Hands each request to `git http-backend`, a CGI program."""

    root: Path

    def do_GET(self) -> None:
        """Answer a request for references."""
        self._answer(b"")

    def do_POST(self) -> None:
        """Answer a request for objects."""
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _answer(self, body: bytes) -> None:
        address = urlsplit(self.path)
        variables = {
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": address.path,
            "QUERY_STRING": address.query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"],
            env={**os.environ, **variables},
            input=body,
            capture_output=True,
            check=True,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""
