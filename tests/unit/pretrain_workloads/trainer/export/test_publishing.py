"""The exported model: complete or without a manifest, and of one attempt."""

from pathlib import Path

import pytest

from integration.trainer.training_runs import make_run
from pretrain_api.runs import TrainingRun
from pretrain_api.v1alpha1.progress import TrainingSummary
from pretrain_workloads.storage import Folder, read_manifest
from pretrain_workloads.trainer.export.publishing import publish
from pretrain_workloads.trainer.run_folder.folders import export_folder
from pretrain_workloads.trainer.run_folder.holder import LeaseLost
from pretrain_workloads.trainer.run_folder.lease import Lease

SUMMARY = TrainingSummary(from_step=0, to_step=10)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PRETRAIN_ROOT", str(tmp_path))
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    return model


def attempt(number: int) -> tuple[TrainingRun, Lease, Folder]:
    export = {"huggingFace": {"uri": "file:///pretrain/models"}}
    run = TrainingRun.model_validate({**make_run(export=export), "uid": "u1", "attempt": number})
    folder = export_folder(run)
    assert folder is not None
    lease = Lease(run)
    lease.acquire()
    return run, lease, folder


def test_a_manifest_names_the_files_of_the_model(model: Path) -> None:
    run, lease, folder = attempt(1)
    reference = publish(run, lease, folder, model, SUMMARY)
    assert (reference.uri, reference.digest) == (folder.uri, "f" * 64)
    manifest = read_manifest(folder)
    assert manifest is not None
    assert [file.path for file in manifest.files] == ["config.json"]
    assert manifest.summary["toStep"] == 10


def test_an_attempt_that_was_replaced_leaves_its_successors_export_alone(model: Path) -> None:
    run, old, folder = attempt(1)
    new_run, new, _ = attempt(2)
    publish(new_run, new, folder, model, SUMMARY)
    want = read_manifest(folder)
    (model / "config.json").write_text('{"older": true}')
    with pytest.raises(LeaseLost, match="attempt 2 of this run"):
        publish(run, old, folder, model, SUMMARY)
    assert want is not None
    assert read_manifest(folder) == want
    assert folder.read_bytes("config.json") == b"{}"
