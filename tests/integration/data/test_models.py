"""Quality and domains, from labelled samples to the columns of the artifact, by the real stages."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from data_chain import OUTPUT, DataChain
from data_runs import (
    code,
    dataset_spec,
    english,
    pipeline_spec,
    poems,
    tokenizer_spec,
    write_corpus,
    write_jsonl,
)
from pretrain_api.runs import PipelineRun
from pretrain_api.v1alpha1.pipeline.summary import PipelineSummary
from stage_runs import StageRunner

pytestmark = pytest.mark.integration

ROOT = "file:///pretrain/data"


def write_samples(folder: Path) -> None:
    """Write poems and prose, each cut into many samples, and prose whose words are in disorder."""
    rng = random.Random(0)
    verses = "".join(poem["text"] for poem in poems())
    prose = [line for topic in english(60) for line in topic["text"].splitlines() if len(line) > 40]
    disorder = [" ".join(rng.sample(line.split(), len(line.split()))) for line in prose]
    lines = [line for file in code(40) for line in file["text"].split("\n\n") if len(line) > 80]
    parts = {
        "poetry": [verses[start : start + 60] for start in range(0, len(verses) - 60, 20)],
        "prose": prose,
        "disorder": disorder,
        "python": lines,
    }
    for name, texts in parts.items():
        write_jsonl(folder / f"{name}.jsonl", [{"text": text} for text in texts[:3000]])


def samples(name: str) -> list[dict[str, Any]]:
    return [{"name": name, "uri": f"{ROOT}/samples/{name}.jsonl", "domain": name}]


def run_pipeline(
    runner: StageRunner, output: str, tasks: int, models: dict[str, Any]
) -> tuple[PipelineSummary, Path]:
    """Return the summary and the folder of the artifact."""
    spec = pipeline_spec(f"{ROOT}/raw", f"{ROOT}/{output}", tasks=tasks, models=models)
    value = {"namespace": "default", "name": "documents", "spec": spec, "tasks": tasks}
    report = runner.run_pipeline(PipelineRun.model_validate(value))
    assert report.pipeline is not None
    assert report.artifact is not None
    return report.pipeline, runner.data / report.artifact.uri.removeprefix(f"{ROOT}/")


def test_models_are_trained_and_their_scores_decide_what_stays(runner: StageRunner) -> None:
    write_corpus(runner.data / "raw")
    write_samples(runner.data / "samples")
    domains = [source for name in ("poetry", "prose", "python") for source in samples(name)]
    models = {
        "domain": {"samples": domains, "minScore": 0.6},
        "quality": {
            "good": samples("prose") + samples("python"),
            "bad": samples("disorder"),
            "keep": [{"languages": ["code"], "fraction": 0.5}],
        },
    }
    results = []
    for tasks in (1, 3):
        summary, folder = run_pipeline(runner, f"out-{tasks}", tasks, models)
        assert min(summary.models["domain"].accuracy.values()) > 0.95, summary.models
        assert min(summary.models["quality"].accuracy.values()) > 0.7, summary.models
        index = pq.read_table(folder / "index.parquet").to_pylist()
        dropped = [
            row
            for path in sorted(folder.glob("dropped/*.parquet"))
            for row in pq.read_table(path).to_pylist()
        ]
        below = [row for row in dropped if row["rule"] == "996-quality"]
        kept = [row for row in index if row["language"] == "code"]
        assert len(kept) == pytest.approx(len(below), abs=1)
        assert summary.rejected["996-quality"] == len(below)
        assert all(row["kept"] is None for row in below)
        assert all(0 <= row["quality"] <= 1 for row in index)
        told = Counter((row["source"], row["domain"]) for row in index)
        assert told["poems", "poetry"] > 0.9 * sum(1 for row in index if row["source"] == "poems")
        names = {path.name for path in (folder / "models").iterdir()}
        assert names == {"quality.npz", "domain.npz"}
        results.append((index, sorted(row["origin"] for row in below), summary))
    assert results[0] == results[1]


def test_a_dataset_reads_its_documents_in_the_order_of_their_quality(runner: StageRunner) -> None:
    write_corpus(runner.data / "raw")
    write_samples(runner.data / "samples")
    quality = {"good": samples("prose"), "bad": samples("disorder")}
    chain = DataChain(runner)
    spec = pipeline_spec(f"{ROOT}/raw", OUTPUT, tasks=1, models={"quality": quality})
    made = chain.make_documents(spec, tasks=1)
    assert made.artifact is not None
    chain.make_tokenizer(tokenizer_spec(OUTPUT))
    part = {"pipelineRef": {"name": "documents"}, "where": {"language": "en"}}
    spec = dataset_spec(
        OUTPUT,
        mixture=[part],
        curriculum={"by": "quality", "order": "descending", "randomness": 0.0},
    )
    chain.make_dataset(spec)
    index = pq.read_table(
        runner.data / made.artifact.uri.removeprefix(f"{ROOT}/") / "index.parquet"
    )
    scores = index["quality"].to_numpy()
    ledger = pq.read_table(chain.folder("dataset") / "ledger.parquet").to_pylist()
    first = [use for use in ledger if use["split"] == "train" and use["epoch"] == 0]
    read = [scores[use["row"]] for use in sorted(first, key=lambda use: use["start"])]
    assert len(set(read)) > 10
    assert read == sorted(read, reverse=True)


def test_a_share_of_nothing_is_an_error_and_no_empty_artifact(runner: StageRunner) -> None:
    write_corpus(runner.data / "raw")
    write_samples(runner.data / "samples")
    quality = {"good": samples("prose"), "bad": samples("disorder"), "keep": [{"fraction": 0.0}]}
    spec = pipeline_spec(f"{ROOT}/raw", f"{ROOT}/out", tasks=1, models={"quality": quality})
    run = PipelineRun.model_validate({"namespace": "default", "name": "documents", "spec": spec})
    (listed,) = runner.run("data", "list", run)
    run = run.model_copy(update={"artifact": listed.artifact})
    for stage in ("prepare", "match"):
        runner.run("data", stage, run)
    (report,) = runner.run("data", "decide", run, code=64)
    assert report.message.startswith("spec.models.quality.keep: no document is left of 232")
