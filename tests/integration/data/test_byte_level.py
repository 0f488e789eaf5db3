"""A byte-level tokenizer through the real stages: blocks hold the ids of its Hugging Face form."""

import json
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from data_runs import dataset_spec, pipeline_spec, tokenizer_spec, write_corpus
from pretrain_api.runs import DatasetRun, PipelineRun, TokenizerRun
from stage_runs import StageRunner

pytestmark = pytest.mark.integration

ROOT = "file:///pretrain/data"


def run_of(name: str, spec: dict[str, Any], **fields: Any) -> dict[str, Any]:
    artifact = {"uri": f"{ROOT}/out/{name}/0123456789ab", "digest": "0123456789ab"}
    return {"namespace": "default", "name": name, "spec": spec, "artifact": artifact} | fields


def test_blocks_hold_the_documents_as_ids_of_a_byte_level_tokenizer(runner: StageRunner) -> None:
    write_corpus(runner.data / "raw")
    output = f"{ROOT}/out"
    value = {"namespace": "default", "name": "documents", "tasks": 3}
    value |= {"spec": pipeline_spec(f"{ROOT}/raw", output)}
    report = runner.run_pipeline(PipelineRun.model_validate(value))
    assert report.artifact is not None
    documents = {"uri": report.artifact.uri, "digest": report.artifact.digest}
    fields = {"algorithm": "byteLevelBpe", "splitDigits": False, "vocabularySize": 2000}
    tokenizer = run_of("tokenizer", tokenizer_spec(output, **fields), documents=documents)
    (made,) = runner.run("tokenizer", None, TokenizerRun.model_validate(tokenizer))
    assert made.tokenizer is not None
    assert made.tokenizer.encoder == "gigatoken"
    spec = dataset_spec(output)
    inputs = {"tokenizer": tokenizer["artifact"], "documents": [documents] * len(spec["mixture"])}
    dataset = run_of("dataset", spec, tasks=spec["tasks"], **inputs)
    runner.run_dataset(DatasetRun.model_validate(dataset))

    folder = runner.data / "out/dataset/0123456789ab"
    described = json.loads((folder / "blocks.json").read_text(encoding="utf-8"))
    blocks = [
        np.fromfile(folder / f"{block['path']}.bin", np.uint16) for block in described["blocks"]
    ]
    # Blocks overlap by one token: the label of a block's last one.
    stream = np.concatenate([*(block[:-1] for block in blocks), blocks[-1][-1:]]).tolist()
    form = runner.data / "out/tokenizer/0123456789ab/tokenizer.json"
    reader = Tokenizer.from_file(str(form))
    root = runner.data / report.artifact.uri.removeprefix(f"{ROOT}/")
    texts = {
        row["id"]: row["text"]
        for path in sorted(root.glob("documents/*.parquet"))
        for row in pq.read_table(path).to_pylist()
    }
    (validation,) = described["validation"]
    held_out = np.fromfile(folder / f"{validation['path']}.bin", np.uint16)[1:].tolist()
    # The last sequence may end within a character.
    assert abs(validation["bytes"] - len(reader.decode(held_out).encode())) < 4
    reader.encode_special_tokens = True
    ledger = pq.read_table(folder / "ledger.parquet").to_pylist()
    train = [use for use in ledger if use["split"] == "train"]
    assert len(train) > 10
    for use in train:
        ids = reader.encode(texts[use["id"]], add_special_tokens=False).ids
        want = [*ids[: use["tokens"] - 1], 2]
        assert stream[use["start"] : use["start"] + use["tokens"]] == want
