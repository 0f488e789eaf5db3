"""Records with a prompt, through the real stages: their prompts are read, but not learnt."""

import json
import re
from typing import Any

import numpy as np
import pytest
import sentencepiece

from data_chain import OUTPUT, ROOT, DataChain
from data_runs import dataset_spec, pipeline_spec, tokenizer_spec, write_corpus, write_jsonl
from pretrain_workloads.indexed_blocks import read_mask
from stage_runs import StageRunner

pytestmark = pytest.mark.integration


def questions() -> list[dict[str, Any]]:
    """Records whose prompts are digits, and whose completions have none."""
    names = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    return [
        {
            "id": f"q{n}",
            "prompt": f"How much are {n} and {n + 1}?\n",
            "completion": f"Take the first number, and the {names[n % 10]} that follow it. " * 3,
        }
        for n in range(100, 160)
    ]


def test_the_labels_of_prompts_do_not_count(runner: StageRunner) -> None:
    write_corpus(runner.data / "raw")
    write_jsonl(runner.data / "raw/qa/questions.jsonl", questions())
    spec = pipeline_spec(f"{ROOT}/raw", OUTPUT, rules=[], deduplication={"exact": True})
    source = {"name": "qa", "uri": f"{ROOT}/raw/qa/*", "language": "en", "domain": "qa"}
    spec["sources"].append(source)
    chain = DataChain(runner)
    chain.make_documents(spec, tasks=3)
    chain.make_tokenizer(tokenizer_spec(OUTPUT))
    part = {"pipelineRef": {"name": "documents"}}
    mixture = [
        part | {"where": {"domain": "qa"}, "weight": 1},
        part | {"where": {"language": "zh"}, "weight": 1},
    ]
    chain.make_dataset(dataset_spec(OUTPUT, mixture=mixture, tokens=4000, blockTokens=2000))

    folder = chain.folder("dataset")
    described = json.loads((folder / "blocks.json").read_text(encoding="utf-8"))
    model = (chain.folder("tokenizer") / "tokenizer.model").read_bytes()
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    for block in (*described["blocks"], *described["validation"]):
        ids = np.fromfile(folder / f"{block['path']}.bin", np.uint16)
        mask = np.fromfile(folder / f"{block['path']}.mask", np.uint8)
        counted = read_mask(mask, 0, len(ids))
        learnt = processor.decode(ids[counted].tolist())
        read = processor.decode(ids[~counted].tolist())
        assert block["mask"]
        assert "follow it." in learnt
        assert not re.search(r"How much|\d and", learnt)
        assert re.search(r"How much are \d+ and \d+\?", read)
        assert "follow" not in read
    (validation,) = described["validation"]
    assert 0 < validation["bytes"] < 3 * validation["sequences"] * 128 * 3
