"""An existing tokenizer through the real stages: its end closes every document in the blocks."""

import json
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from data_runs import dataset_spec, pipeline_spec, tokenizer_spec, write_corpus
from pretrain_api.reports import ExitClass
from pretrain_api.runs import DatasetRun, PipelineRun, TokenizerRun
from stage_runs import StageRunner

pytestmark = pytest.mark.integration

ROOT = "file:///pretrain/data"
END = 256


def run_of(name: str, spec: dict[str, Any], **fields: Any) -> dict[str, Any]:
    artifact = {"uri": f"{ROOT}/out/{name}/0123456789ab", "digest": "0123456789ab"}
    return {"namespace": "default", "name": name, "spec": spec, "artifact": artifact} | fields


def test_documents_end_with_the_end_of_an_existing_tokenizer(runner: StageRunner) -> None:
    write_corpus(runner.data / "raw")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    theirs = Tokenizer(models.BPE(vocab={c: n for n, c in enumerate(letters)}, merges=[]))
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    theirs.decoder = decoders.ByteLevel()
    theirs.add_special_tokens([AddedToken("<|end|>", normalized=False, special=True)])
    (runner.data / "theirs").mkdir()
    theirs.save(str(runner.data / "theirs/tokenizer.json"))
    output = f"{ROOT}/out"
    value = {"namespace": "default", "name": "documents", "tasks": 2}
    value |= {"spec": pipeline_spec(f"{ROOT}/raw", output)}
    report = runner.run_pipeline(PipelineRun.model_validate(value))
    assert report.artifact is not None
    documents = {"uri": report.artifact.uri, "digest": report.artifact.digest}

    existing = {"uri": f"{ROOT}/theirs", "endOfDocument": "<|end|>"}
    spec = tokenizer_spec(output, vocabularySize=600, existing=existing)
    tokenizer = run_of("tokenizer", spec, documents=documents)
    (made,) = runner.run("tokenizer", None, TokenizerRun.model_validate(tokenizer))
    assert made.exit_class is ExitClass.COMPLETE, made.message
    assert made.tokenizer is not None
    assert (made.tokenizer.end_of_document, made.tokenizer.vocabulary_size) == (END, 600)
    folder = runner.data / "out/tokenizer/0123456789ab"
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert (config["bos_token"], config["eos_token"]) == (None, "<|end|>")

    wanted = dataset_spec(output)
    inputs = {"tokenizer": tokenizer["artifact"], "documents": [documents] * len(wanted["mixture"])}
    dataset = run_of("dataset", wanted, tasks=wanted["tasks"], **inputs)
    runner.run_dataset(DatasetRun.model_validate(dataset))
    blocks = runner.data / "out/dataset/0123456789ab"
    tokens = np.concatenate([np.fromfile(f, np.uint16) for f in sorted(blocks.rglob("*.bin"))])
    ends = int((tokens == END).sum())
    assert ends > 10
    assert tokens.max() == END
