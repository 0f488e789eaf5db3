"""A real S3 server over a folder. Import the fixture into a `conftest.py`."""

import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ports import free_port
from pretrain_local import binaries

ADDRESS = "127.0.0.1"
START_SECONDS = 30
USER = {"accessKey": "test", "secretKey": "testsecret"}


@dataclass(frozen=True)
class S3Server:
    """A running server; its buckets are the folders of `folder`."""

    endpoint: str
    folder: Path

    @property
    def secret(self) -> dict[str, str]:
        """Return the content of a Secret with its credentials."""
        return {"endpoint": self.endpoint, "region": "us-east-1", **USER}


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Run the server for the whole session."""
    folder = tmp_path_factory.mktemp("s3")
    port = free_port()
    program = binaries.find("versitygw")
    command = [str(program), "--port", f"{ADDRESS}:{port}", "--quiet", "posix", str(folder)]
    environment = {"ROOT_ACCESS_KEY": USER["accessKey"], "ROOT_SECRET_KEY": USER["secretKey"]}
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    try:
        wait_until_it_listens(port, process)
        yield S3Server(f"http://{ADDRESS}:{port}", folder)
    finally:
        process.terminate()
        process.wait(timeout=20)


def wait_until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "the S3 server ended"
        with socket.socket() as client:
            if client.connect_ex((ADDRESS, port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"the S3 server does not listen after {START_SECONDS} s")
