from dataclasses import dataclass
from pathlib import Path

import pytest

from data_runs import write_corpus
from s3 import S3Server, s3_server
from stage_runs import Place

__all__ = ["s3_server"]


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


@pytest.fixture(params=["files", "s3"])
def store(request: pytest.FixtureRequest, place: Place) -> Store:
    """A corpus on a volume, and the same on S3."""
    if request.param == "files":
        write_corpus(place.data / "raw")
        root = "file:///pretrain/data"
        return Store(place, f"{root}/raw", f"{root}/artifacts", {}, place.data)
    server: S3Server = request.getfixturevalue("s3_server")
    place.secrets["store"] = server.secret
    bucket = server.folder / "corpus"
    write_corpus(bucket / "raw")
    secret = {"credentialsSecretRef": {"name": "store"}}
    return Store(place, "s3://corpus/raw", "s3://corpus/artifacts", secret, bucket)
