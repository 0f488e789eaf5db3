from dataclasses import dataclass
from pathlib import Path

import pytest

from data_runs import write_corpus
from s3 import S3Server, s3_server
from stage_runs import StageRunner

__all__ = ["s3_server"]


@dataclass(frozen=True)
class CorpusStore:
    """Storage of a test: the URIs of the raw text and of the artifacts."""

    runner: StageRunner
    raw: str
    artifacts: str
    secret: dict[str, dict[str, str]]
    """The fields of a location beside its URI."""
    folder: Path
    """Folder with the files of the store on this machine."""


@pytest.fixture
def runner(tmp_path: Path) -> StageRunner:
    return StageRunner(tmp_path)


@pytest.fixture(params=["files", "s3"])
def store(request: pytest.FixtureRequest, runner: StageRunner) -> CorpusStore:
    """A corpus on a volume, and the same on S3."""
    if request.param == "files":
        write_corpus(runner.data / "raw")
        root = "file:///pretrain/data"
        return CorpusStore(runner, f"{root}/raw", f"{root}/artifacts", {}, runner.data)
    server: S3Server = request.getfixturevalue("s3_server")
    runner.secrets["store"] = server.secret
    bucket = server.folder / "corpus"
    write_corpus(bucket / "raw")
    secret = {"credentialsSecretRef": {"name": "store"}}
    return CorpusStore(runner, "s3://corpus/raw", "s3://corpus/artifacts", secret, bucket)
