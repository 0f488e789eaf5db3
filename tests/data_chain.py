"""The chain from raw text to token blocks on a volume, a stage after the other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrain_api.reports import ExitReport
from pretrain_api.runs import DatasetRun, PipelineRun, TokenizerRun
from stage_runs import StageRunner

ROOT = "file:///pretrain/data"
"""The volume of all tasks."""

OUTPUT = f"{ROOT}/out"

_DIGEST = "0123456789ab"


@dataclass
class DataChain:
    """Makes one artifact of each kind: `documents`, `tokenizer` and `dataset`."""

    runner: StageRunner
    documents: dict[str, Any] | None = None
    """The artifact of documents, once it is made."""

    def make_documents(self, spec: dict[str, Any], tasks: int = 2) -> ExitReport:
        """Make the documents that the tokenizer and the dataset read."""
        value = {"namespace": "default", "name": "documents", "tasks": tasks, "spec": spec}
        report = self.runner.run_pipeline(PipelineRun.model_validate(value))
        assert report.artifact is not None
        self.documents = {"uri": report.artifact.uri, "digest": report.artifact.digest}
        return report

    def make_tokenizer(self, spec: dict[str, Any]) -> ExitReport:
        """Make the tokenizer, measured on the documents."""
        run = _run_of("tokenizer", spec, documents=self.documents)
        (report,) = self.runner.run("tokenizer", None, TokenizerRun.model_validate(run))
        return report

    def make_dataset(self, spec: dict[str, Any]) -> ExitReport:
        """Make the token blocks; every part of the mixture reads the documents."""
        return self.runner.run_dataset(self.dataset_run(spec))

    def dataset_run(self, spec: dict[str, Any]) -> DatasetRun:
        """Return what the stages of a dataset are started with."""
        inputs = {
            "tokenizer": _artifact("tokenizer"),
            "documents": [self.documents] * len(spec["mixture"]),
        }
        run = _run_of("dataset", spec, tasks=spec["tasks"], **inputs)
        return DatasetRun.model_validate(run)

    def folder(self, name: str) -> Path:
        """Return the folder of the artifact `tokenizer` or `dataset` on this machine."""
        return self.runner.data / f"out/{name}/{_DIGEST}"


def _artifact(name: str) -> dict[str, str]:
    return {"uri": f"{OUTPUT}/{name}/{_DIGEST}", "digest": _DIGEST}


def _run_of(name: str, spec: dict[str, Any], **fields: Any) -> dict[str, Any]:
    run = {"namespace": "default", "name": name, "spec": spec, "artifact": _artifact(name)}
    return run | fields
