import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from data_runs import write_corpus
from pretrain_local import binaries
from stage_runs import Place

ADDRESS = "127.0.0.1"
START_SECONDS = 30


@dataclass(frozen=True)
class Store:
    """Where a test's data lies: URIs of the raw text and of the artifacts."""

    place: Place
    raw: str
    artifacts: str
    secret: dict[str, dict[str, str]]
    """What a location in a spec needs beside its URI."""
    folder: Path
    """Where the files of the store lie on this machine."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Run a real S3 server over a folder; give its endpoint and the folder."""
    folder = tmp_path_factory.mktemp("s3")
    with socket.socket() as listener:
        listener.bind((ADDRESS, 0))
        port = listener.getsockname()[1]
    program = binaries.find("versitygw")
    command = [str(program), "--port", f"{ADDRESS}:{port}", "--quiet", "posix", str(folder)]
    environment = {"ROOT_ACCESS_KEY": "test", "ROOT_SECRET_KEY": "testsecret"}
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    try:
        wait_until_it_listens(port, process)
        yield f"http://{ADDRESS}:{port}", folder
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


@pytest.fixture(params=["files", "s3"])
def store(request: pytest.FixtureRequest, place: Place) -> Store:
    """A corpus on a volume, and the same on S3."""
    if request.param == "files":
        write_corpus(place.data / "raw")
        root = "file:///pretrain/data"
        return Store(place, f"{root}/raw", f"{root}/artifacts", {}, place.data)
    endpoint, folder = request.getfixturevalue("s3_server")
    place.secrets["store"] = {
        "endpoint": endpoint,
        "accessKey": "test",
        "secretKey": "testsecret",
        "region": "us-east-1",
    }
    bucket = folder / "corpus"
    write_corpus(bucket / "raw")
    secret = {"credentialsSecretRef": {"name": "store"}}
    return Store(place, "s3://corpus/raw", "s3://corpus/artifacts", secret, bucket)
