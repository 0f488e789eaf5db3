"""The digest of an artifact has everything that decides which documents stay."""

from pathlib import Path
from typing import Any

import pytest

from data_runs import pipeline_spec, write_jsonl
from pretrain_api.runs import PipelineRun
from pretrain_workloads.data import listing
from pretrain_workloads.data.models.scoring import DEFAULT_MODEL

ROOT = "file:///pretrain/data"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test its own `/pretrain`, with a document of each source."""
    monkeypatch.setenv("PRETRAIN_ROOT", str(tmp_path))
    for folder in ("zh", "en", "code"):
        write_jsonl(tmp_path / "data" / "raw" / folder / "a.jsonl", [{"text": "some text"}])
    for name, word in (("good", "sea"), ("bad", "farm")):
        records = [{"text": f"{word} {n}"} for n in range(60)]
        write_jsonl(tmp_path / "data" / f"{name}.jsonl", records)
    return tmp_path / "data"


def digest_with(models: dict[str, Any]) -> str:
    spec = pipeline_spec(f"{ROOT}/raw", f"{ROOT}/out", tasks=1, models=models)
    run = {"namespace": "default", "name": "documents", "spec": spec}
    report = listing.list_inputs(PipelineRun.model_validate(run))
    assert report.artifact is not None
    return report.artifact.digest


TRAINED = {
    "quality": {name: [{"name": name, "uri": f"{ROOT}/{name}.jsonl"}] for name in ("good", "bad")}
}


def test_another_default_model_gives_another_artifact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest_with({"quality": {}}), digest_with({}), digest_with(TRAINED)
    other = tmp_path / DEFAULT_MODEL.name
    other.write_bytes(b"a model of a later version")
    monkeypatch.setattr(listing, "DEFAULT_MODEL", other)
    after = digest_with({"quality": {}}), digest_with({}), digest_with(TRAINED)
    assert after[0] != before[0]
    assert after[1:] == before[1:], "only who uses it is concerned"


def test_other_samples_give_another_artifact(data: Path) -> None:
    before = digest_with(TRAINED)
    write_jsonl(data / "bad.jsonl", [{"text": f"orchard {n}"} for n in range(61)])
    assert digest_with(TRAINED) != before
