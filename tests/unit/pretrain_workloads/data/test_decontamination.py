import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batches import make_batch, points_of
from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec
from pretrain_workloads.data.decontamination.benchmarks import BenchmarkIndex
from pretrain_workloads.data.decontamination.ngrams import ngram_hashes
from pretrain_workloads.failures import UserError
from text_units import simple, texts, units

PROBLEM = "Write a function that returns the sum of the squares of all even numbers in a list."
QUESTION = "小明有十二个苹果，他把其中的三分之一送给了小红，又吃了两个，请问现在还剩下几个？"


def spec(folder: Path, **changes: Any) -> DataPipelineSpec:
    source = {"name": "bench", "uri": f"file://{folder}/*.jsonl", "textField": "prompt"}
    return DataPipelineSpec.model_validate(
        {
            "sources": [{"name": "s", "uri": "file:///pretrain/none"}],
            "output": {"uri": "file:///pretrain/out"},
            "decontaminate": {"against": [source]} | changes,
        }
    )


@pytest.fixture
def index(tmp_path: Path) -> BenchmarkIndex:
    records = [{"prompt": PROBLEM}, {"prompt": QUESTION}]
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    (tmp_path / "test.jsonl").write_text(lines, encoding="utf-8")
    return BenchmarkIndex(spec(tmp_path))


def test_a_document_with_text_of_a_benchmark_is_found_with_the_record(
    index: BenchmarkIndex,
) -> None:
    batch = make_batch(
        [
            f"A forum post. {PROBLEM.upper()} Any ideas?",
            "It returns the sum of the squares, as asked.",
            "write a FUNCTION -- that returns; the sum of the squares of all even numbers!",
        ],
        language="en",
    )
    rows, reasons = index.contaminated(batch)
    assert rows.tolist() == [0, 2]
    assert reasons[0] == "holds text of bench/test.jsonl#byte-0"


def test_chinese_needs_a_longer_passage(index: BenchmarkIndex) -> None:
    batch = make_batch([f"题目：{QUESTION}", QUESTION[:20], "床前明月光"], language="zh")
    assert index.contaminated(batch)[0].tolist() == [0]


@pytest.mark.parametrize(
    ("content", "want"),
    [
        ('{"other": "x"}\n', "source bench: none of 1 records is readable; .*fields are other"),
        ("\n", "spec.decontaminate: benchmark bench holds no text"),
    ],
)
def test_a_benchmark_without_text_is_refused(tmp_path: Path, content: str, want: str) -> None:
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(UserError, match=want):
        BenchmarkIndex(spec(tmp_path))


@given(texts.map(simple), st.integers(1, 6))
def test_texts_have_as_many_ngrams_as_their_units_give(text: str, size: int) -> None:
    hashes, starts = ngram_hashes(*points_of([text, text]), size)
    words = [unit.lower() for unit in units(text)]
    want = max(0, len(words) - size + 1)
    assert starts.tolist() == [0, want, 2 * want]
    assert (hashes[:want] == hashes[want:]).all()
    assert len(set(hashes.tolist())) == len({tuple(words[i : i + size]) for i in range(want)})
