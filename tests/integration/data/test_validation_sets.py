"""Several validation sets: each holds the held-out text that its name says."""

import json
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import sentencepiece

from data_runs import dataset_spec, pipeline_spec, tokenizer_spec, write_corpus
from pretrain_api.runs import DatasetRun, PipelineRun, TokenizerRun
from stage_runs import StageRunner

pytestmark = pytest.mark.integration

ROOT = "file:///pretrain/data"
OUTPUT = f"{ROOT}/out"


def run_of(name: str, spec: dict[str, Any], **fields: Any) -> dict[str, Any]:
    artifact = {"uri": f"{OUTPUT}/{name}/0123456789ab", "digest": "0123456789ab"}
    return {"namespace": "default", "name": name, "spec": spec, "artifact": artifact} | fields


def test_each_validation_set_holds_the_text_that_it_selects(runner: StageRunner) -> None:
    write_corpus(runner.data / "raw")
    value = {"namespace": "default", "name": "documents", "tasks": 2}
    value |= {"spec": pipeline_spec(f"{ROOT}/raw", OUTPUT)}
    report = runner.run_pipeline(PipelineRun.model_validate(value))
    assert report.artifact is not None
    documents = {"uri": report.artifact.uri, "digest": report.artifact.digest}
    tokenizer = run_of("tokenizer", tokenizer_spec(OUTPUT), documents=documents)
    runner.run("tokenizer", None, TokenizerRun.model_validate(tokenizer))
    sets = [
        {"name": "chinese", "where": {"language": "zh"}},
        {"name": "none", "where": {"domain": "no such domain"}},
        {"name": "english", "pipelineRef": {"name": "documents"}, "where": {"language": "en"}},
    ]
    spec = dataset_spec(OUTPUT, validation={"fraction": 0.2, "sets": sets})
    inputs = {"tokenizer": tokenizer["artifact"], "documents": [documents] * len(spec["mixture"])}
    dataset = run_of("dataset", spec, tasks=spec["tasks"], **inputs)
    summary = runner.run_dataset(DatasetRun.model_validate(dataset)).dataset
    assert summary is not None
    assert [w for w in summary.warnings if "validation set none" in w], summary.warnings

    folder = runner.data / "out/dataset/0123456789ab"
    described = json.loads((folder / "blocks.json").read_text(encoding="utf-8"))
    entries = {entry["name"]: entry for entry in described["validation"]}
    assert list(entries) == ["chinese", "english", "other"]
    total = sum(entry["sequences"] for entry in entries.values())
    assert summary.validation_sequences == total
    model = runner.data / "out/tokenizer/0123456789ab/tokenizer.model"
    decode = sentencepiece.SentencePieceProcessor(model_file=str(model)).decode
    shares = {}
    for name, entry in entries.items():
        text = decode(np.fromfile(folder / f"{entry['path']}.bin", np.uint16).tolist())
        shares[name] = sum("\u4e00" <= c <= "\u9fff" for c in text) / len(text)
        assert len(text.encode()) == pytest.approx(entry["bytes"], rel=0.05)
    assert shares["chinese"] > 0.6
    assert max(shares["english"], shares["other"]) < 0.05
    ledger = pq.read_table(folder / "ledger.parquet").to_pylist()
    held_out = [use for use in ledger if use["split"] == "validation"]
    assert {use["language"] for use in held_out} >= {"zh", "en"}
    trained = {(use["artifact"], use["row"]) for use in ledger if use["split"] == "train"}
    assert not trained & {(use["artifact"], use["row"]) for use in held_out}
