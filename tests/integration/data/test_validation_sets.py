"""Several validation sets: each holds the held-out text that its name says."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import sentencepiece

from data_chain import OUTPUT, ROOT, DataChain
from data_runs import dataset_spec, pipeline_spec, tokenizer_spec, write_corpus
from stage_runs import StageRunner

pytestmark = pytest.mark.integration


def test_each_validation_set_holds_the_text_that_it_selects(runner: StageRunner) -> None:
    write_corpus(runner.data / "raw")
    chain = DataChain(runner)
    chain.make_documents(pipeline_spec(f"{ROOT}/raw", OUTPUT))
    chain.make_tokenizer(tokenizer_spec(OUTPUT))
    sets = [
        {"name": "chinese", "where": {"language": "zh"}},
        {"name": "none", "where": {"domain": "no such domain"}},
        {"name": "english", "pipelineRef": {"name": "documents"}, "where": {"language": "en"}},
    ]
    spec = dataset_spec(OUTPUT, validation={"fraction": 0.2, "sets": sets})
    summary = chain.make_dataset(spec).dataset
    assert summary is not None
    assert [w for w in summary.warnings if "validation set none" in w], summary.warnings

    folder = chain.folder("dataset")
    described = json.loads((folder / "blocks.json").read_text(encoding="utf-8"))
    entries = {entry["name"]: entry for entry in described["validation"]}
    assert list(entries) == ["chinese", "english", "other"]
    total = sum(entry["sequences"] for entry in entries.values())
    assert summary.validation_sequences == total
    model = chain.folder("tokenizer") / "tokenizer.model"
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
