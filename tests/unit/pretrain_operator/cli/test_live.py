"""Messages of the command line for an API server that refuses or does not answer."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from pretrain_operator.cli.main import UNUSABLE, main

JOB = {"metadata": {"name": "run"}, "spec": {}}


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
def serve(answers: dict[str, int]) -> Iterator[int]:
    """Answer requests for a plural with a status, and with a PretrainJob if the status is 200."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = next(answers[part] for part in self.path.split("/") if part in answers)
            body = json.dumps(JOB).encode()
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


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"pretrainjobs": 403}, "refused to show PretrainJob run in namespace default: 403"),
        ({"pretrainjobs": 404}, "there is no PretrainJob 'run' in namespace 'default'"),
        (
            {"pretrainjobs": 200, "computeprofiles": 403},
            "refused to show the ComputeProfiles, which are cluster-wide: 403 Forbidden; use a",
        ),
        ({"pretrainjobs": 200, "computeprofiles": 500}, "cluster-wide: 500"),
    ],
)
def test_a_refusal_of_the_api_server_is_an_error_that_names_the_object(
    answers: dict[str, int],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serve(answers) as port:
        use_server(monkeypatch, tmp_path, port)
        assert main(["plan", "run"]) == UNUSABLE
    output = capsys.readouterr().err
    assert output.startswith("error: ")
    assert message in output


def test_an_api_server_that_cannot_be_reached_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound, but nothing listens
        port = bound.getsockname()[1]
        use_server(monkeypatch, tmp_path, port)
        assert main(["plan", "run"]) == UNUSABLE
    assert f"the API server http://127.0.0.1:{port} does not answer" in capsys.readouterr().err
