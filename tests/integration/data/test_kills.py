"""Tasks that are killed twice, at any moment, and then left alone give the same artifacts."""

import os
import random
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from data_runs import dataset_spec, pipeline_spec, tokenizer_spec, write_corpus
from pretrain_api.reports import ExitReport
from pretrain_api.runs import (
    DATASET_STAGES,
    PIPELINE_STAGES,
    DatasetRun,
    PipelineRun,
    TokenizerRun,
)
from stage_runs import SINGLE, StageRunner

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ROOT = "file:///pretrain/data"
NAMES = {"namespace": "default"}
KILLS = 2


@dataclass
class Chain:
    """Raw text to token blocks, stage by stage."""

    runner: StageRunner
    kill: random.Random | None = None
    """Kills every task twice before it may end. Unset means that none is."""
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each stage takes, undisturbed."""
    kills: int = 0

    def run(self) -> Path:
        """Run all stages; return the folder of the artifacts."""
        write_corpus(self.runner.data / "raw")
        for path in self.runner.data.rglob("*"):
            os.utime(path, (0, 0))  # the versions of files are part of an artifact's name
        spec = pipeline_spec(f"{ROOT}/raw", f"{ROOT}/out")
        value = NAMES | {"name": "documents", "spec": spec, "tasks": spec["tasks"]}
        run: Any = PipelineRun.model_validate(value)
        for stage in PIPELINE_STAGES:
            report = self._stage("data", stage, run)
            run = run.model_copy(update={"artifact": run.artifact or report.artifact})
        assert run.artifact is not None
        documents = {"uri": run.artifact.uri, "digest": run.artifact.digest}
        tokens = {"name": "tokenizer", "spec": tokenizer_spec(f"{ROOT}/out")}
        tokens |= {"artifact": _artifact("tokenizer"), "documents": documents}
        self._stage("tokenizer", None, TokenizerRun.model_validate(NAMES | tokens))
        spec = dataset_spec(f"{ROOT}/out")
        blocks: dict[str, Any] = {"name": "dataset", "spec": spec, "tasks": spec["tasks"]}
        blocks |= {"artifact": _artifact("dataset"), "tokenizer": _artifact("tokenizer")}
        blocks |= {"documents": [documents] * len(spec["mixture"])}
        for stage in DATASET_STAGES:
            self._stage("dataset", stage, DatasetRun.model_validate(NAMES | blocks))
        return self.runner.data / "out"

    def _stage(self, module: str, stage: str | None, run: Any) -> ExitReport:
        tasks = 1 if stage is None or stage in SINGLE else run.tasks
        name = f"{module} {stage}"
        for _ in range(KILLS if self.kill is not None else 0):
            self._kill_all(module, stage, run, range(tasks))
        began = time.monotonic()
        reports = self.runner.run(module, stage, run, tasks)
        self.seconds[name] = time.monotonic() - began
        return reports[0]

    def _kill_all(self, module: str, stage: str | None, run: Any, ranks: range) -> None:
        """Start all tasks, and kill those that still run at a random moment of their work."""
        assert self.kill is not None
        started = [self.runner.start(module, stage, run, rank) for rank in ranks]
        seconds = self.seconds[f"{module} {stage}"]
        with suppress(subprocess.TimeoutExpired):
            # Before that, they import their libraries.
            started[-1].process.wait(timeout=seconds * self.kill.uniform(0.4, 0.9))
        for task in started:
            self.kills += task.process.poll() is None
            task.process.kill()
            task.process.wait()


def _artifact(kind: str) -> dict[str, str]:
    return {"uri": f"{ROOT}/out/{kind}/0123456789ab", "digest": "0123456789ab"}


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files but the manifests, which hold the time."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "MANIFEST.json"
    }


def test_every_task_of_every_stage_may_be_killed_twice(tmp_path: Path) -> None:
    calm = Chain(StageRunner(tmp_path / "calm"))
    want = contents(calm.run())
    killed = Chain(StageRunner(tmp_path / "killed"), random.Random(11), dict(calm.seconds))
    found = contents(killed.run())
    assert killed.kills >= 20, killed.kills
    assert found.keys() == want.keys()
    assert not [name for name in want if found[name] != want[name]]
