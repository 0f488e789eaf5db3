from pathlib import Path
from typing import Any

import pytest

from data_runs import pipeline_spec
from pretrain_api.runs import PipelineRun
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import open_output


def run(**changes: Any) -> PipelineRun:
    spec = pipeline_spec("file:///pretrain/raw", "file:///pretrain/data", **changes)
    return PipelineRun.model_validate({"name": "d", "namespace": "default", "spec": spec})


def test_the_folder_is_that_of_the_artifact() -> None:
    artifact = {"uri": "file:///pretrain/data/x/0", "digest": "0"}
    made = PipelineRun.model_validate(run().model_dump(by_alias=True) | {"artifact": artifact})
    assert open_output(made).uri == "file:///pretrain/data/x/0"


def test_the_secret_is_that_of_the_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRETRAIN_ROOT", str(tmp_path))
    artifact = {"uri": "s3://bucket/x/0", "digest": "0"}
    secret = {"credentialsSecretRef": {"name": "store"}}
    made = run(secret=secret).model_dump(by_alias=True) | {"artifact": artifact}
    with pytest.raises(UserError, match=r"Secret store: is not mounted"):
        open_output(PipelineRun.model_validate(made))


def test_a_run_without_an_artifact_is_refused() -> None:
    with pytest.raises(UserError, match=r"run.artifact: is required after the stage `list`"):
        open_output(run())
