"""A byte-level tokenizer through the real stages: blocks hold the ids of its Hugging Face form."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from data_chain import OUTPUT, ROOT, DataChain
from data_runs import dataset_spec, pipeline_spec, tokenizer_spec, write_corpus
from stage_runs import StageRunner

pytestmark = pytest.mark.integration


def test_blocks_hold_the_documents_as_ids_of_a_byte_level_tokenizer(runner: StageRunner) -> None:
    write_corpus(runner.data / "raw")
    chain = DataChain(runner)
    report = chain.make_documents(pipeline_spec(f"{ROOT}/raw", OUTPUT), tasks=3)
    assert report.artifact is not None
    fields = {"algorithm": "byteLevelBpe", "splitDigits": False, "vocabularySize": 2000}
    made = chain.make_tokenizer(tokenizer_spec(OUTPUT, **fields))
    assert made.tokenizer is not None
    assert made.tokenizer.encoder == "gigatoken"
    chain.make_dataset(dataset_spec(OUTPUT))

    folder = chain.folder("dataset")
    described = json.loads((folder / "blocks.json").read_text(encoding="utf-8"))
    blocks = [
        np.fromfile(folder / f"{block['path']}.bin", np.uint16) for block in described["blocks"]
    ]
    # Blocks overlap by one token: the label of a block's last one.
    stream = np.concatenate([*(block[:-1] for block in blocks), blocks[-1][-1:]]).tolist()
    form = chain.folder("tokenizer") / "tokenizer.json"
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
