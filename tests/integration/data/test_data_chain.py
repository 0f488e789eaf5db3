"""Raw text to token blocks through the real entry points, on a volume and on an S3 server."""

import gzip
import hashlib
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import sentencepiece

from data_runs import (
    code,
    dataset_spec,
    pipeline_spec,
    poems,
    tokenizer_spec,
    write_corpus,
    write_jsonl,
)
from pretrain_api.artifacts import Manifest
from pretrain_api.runs import DatasetRun, PipelineRun, TokenizerRun
from s3 import S3Server
from stage_runs import StageRunner

pytestmark = pytest.mark.integration

NAMES = {"namespace": "default"}


def pipeline_run(source: str, output: str, **changes: Any) -> PipelineRun:
    spec = pipeline_spec(source, output, **changes)
    value = NAMES | {"name": "documents", "spec": spec, "tasks": spec["tasks"]}
    return PipelineRun.model_validate(value)


def artifact(output: str, kind: str) -> dict[str, str]:
    return {"uri": f"{output}/{kind}/0123456789ab", "digest": "0123456789ab"}


def tokenizer_run(documents: dict[str, str], output: str, **changes: Any) -> TokenizerRun:
    value = {"name": "tokenizer", "spec": tokenizer_spec(output, **changes)}
    parts = {"artifact": artifact(output, "tokenizer"), "documents": documents}
    return TokenizerRun.model_validate(NAMES | value | parts)


def dataset_run(documents: dict[str, str], output: str, **changes: Any) -> DatasetRun:
    spec = dataset_spec(output, **changes)
    name = changes.get("name", "dataset")
    secret = {k: v for k, v in documents.items() if k == "credentialsSecret"}
    value = {"name": name, "spec": spec, "artifact": artifact(output, name), "tasks": spec["tasks"]}
    inputs = {
        "tokenizer": artifact(output, "tokenizer") | secret,
        "documents": [documents] * len(spec["mixture"]),
    }
    return DatasetRun.model_validate(NAMES | value | inputs)


def read_documents(folder: Path) -> dict[str, str]:
    tables = [pq.read_table(path) for path in sorted((folder / "documents").glob("*.parquet"))]
    return {row["id"]: row["text"] for table in tables for row in table.to_pylist()}


def check_manifest(folder: Path) -> Manifest:
    """Check that the manifest lists exactly the files of the artifact, with their checksums."""
    manifest = Manifest.model_validate_json((folder / "MANIFEST.json").read_bytes())
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert present == {file.path for file in manifest.files} | {"MANIFEST.json"}
    for file in manifest.files:
        content = (folder / file.path).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)
    return manifest


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of an artifact except its manifest, which holds the time."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "MANIFEST.json"
    }


def test_raw_text_becomes_token_blocks(store: Any) -> None:
    runner: StageRunner = store.runner
    secret = {"secret": store.secret}
    opened = {"credentialsSecret": "store"} if store.secret else {}
    run = pipeline_run(store.raw, store.artifacts, **secret)
    report = runner.run_pipeline(run)
    assert report.artifact is not None
    folder = store.folder / report.artifact.uri.removeprefix(store.artifacts + "/").join(
        ("artifacts/", "")
    )
    summary = report.pipeline
    assert summary is not None
    assert (summary.quarantined, summary.exact_duplicates) == (4, 4)
    assert summary.near_duplicates >= 4
    assert summary.read == summary.kept + sum(summary.rejected.values()) + 4 + (
        summary.near_duplicates
    )
    assert {"zh", "en", "code"} <= set(summary.languages)
    check_manifest(folder)
    documents = read_documents(folder)
    assert len(documents) == summary.kept
    assert documents["poem/010"] == poems()[10]["text"]
    assert runner.run_pipeline(run).reused

    opened_documents = {"uri": report.artifact.uri, "digest": report.artifact.digest} | opened
    tokens = tokenizer_run(opened_documents, store.artifacts, **secret)
    (trained,) = runner.run("tokenizer", None, tokens)
    assert trained.tokenizer is not None
    assert set(trained.tokenizer.characters_per_token) == set(summary.languages)
    tokenizer = store.folder / "artifacts/tokenizer/0123456789ab"
    check_manifest(tokenizer)
    assert runner.run("tokenizer", None, tokens)[0].reused

    blocks = dataset_run(opened_documents, store.artifacts, **secret)
    made = runner.run_dataset(blocks).dataset
    assert made is not None
    dataset = store.folder / "artifacts/dataset/0123456789ab"
    check_manifest(dataset)
    check_stream(dataset, tokenizer, documents)
    assert runner.run_dataset(blocks).reused


def check_stream(dataset: Path, tokenizer: Path, documents: dict[str, str]) -> None:
    """Check that the blocks hold the documents of the ledger, in order and in the right shares."""
    described = json.loads((dataset / "blocks.json").read_text(encoding="utf-8"))
    length = described["sequenceLength"]
    ledger = pq.read_table(dataset / "ledger.parquet").to_pylist()
    train = [use for use in ledger if use["split"] == "train"]
    held_out = {use["id"] for use in ledger if use["split"] == "validation"}
    assert held_out
    assert held_out.isdisjoint(use["id"] for use in train)
    stream: list[int] = []
    for block in described["blocks"]:
        flat = np.fromfile(dataset / f"{block['path']}.bin", np.uint16)
        assert len(flat) == block["sequences"] * length + 1
        assert not stream or stream[-1] == flat[0]
        stream = stream[:-1] + flat.tolist()
    assert len(stream) == 60_000 // length * length + 1
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer / "tokenizer.model"))
    for use in train:
        want = [*processor.encode(documents[use["id"]])[: use["tokens"] - 1], 2]
        assert stream[use["start"] : use["start"] + use["tokens"]] == want
    shares = [sum(u["tokens"] for u in train if u["part"] == part) for part in range(3)]
    assert shares == pytest.approx([15_000, 30_000, 15_000], abs=130)


def test_megatron_reads_the_blocks(runner: StageRunner) -> None:
    """In another process: Megatron needs a rank, and imports torch."""
    prefix = runner.data / "00000"
    made = (
        "import numpy as np; from pretrain_workloads.dataset.streams import publish_block;"
        "from pretrain_workloads.storage import open_uri;"
        f"folder = open_uri('file://{runner.data}');"
        "section = np.arange(9, dtype=np.uint16), np.array([3, 1, 5]);"
        "publish_block(folder, '00000', section, None)"
    )
    subprocess.run([sys.executable, "-c", made], check=True)
    read = (
        "from megatron.core.datasets.indexed_dataset import IndexedDataset;"
        f"d = IndexedDataset({str(prefix)!r});"
        "print([d[i].tolist() for i in range(len(d))], d.document_indices.tolist())"
    )
    done = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[[0, 1, 2], [3], [4, 5, 6, 7, 8]] [0, 1, 2, 3]"


def test_the_artifacts_do_not_depend_on_the_number_of_tasks(runner: StageRunner) -> None:
    write_corpus(runner.data / "raw")
    source = "file:///pretrain/data/raw"
    results = []
    for tasks in (1, 4):
        output = f"file:///pretrain/data/cut-{tasks}"
        report = runner.run_pipeline(pipeline_run(source, output, tasks=tasks))
        assert report.artifact is not None
        documents = {"uri": report.artifact.uri, "digest": report.artifact.digest}
        (trained,) = runner.run("tokenizer", None, tokenizer_run(documents, output))
        made = runner.run_dataset(dataset_run(documents, output, tasks=tasks))
        base = runner.data / f"cut-{tasks}"
        name = report.artifact.uri.removeprefix(output + "/")
        index = pq.read_table(base / name / "index.parquet")
        results.append(
            (
                name,
                list(read_documents(base / name).items()),
                index.to_pylist(),
                (base / name / "report.json").read_bytes(),
                trained.tokenizer,
                made.dataset,
                contents(base / "tokenizer"),
                contents(base / "dataset"),
            )
        )
    assert results[0] == results[1]


def test_a_killed_task_gives_the_same_artifact_when_it_runs_again(runner: StageRunner) -> None:
    modules = code(60)
    many = [
        record | {"id": f"{record['id']}/{turn}", "text": f"# {turn}\n{record['text']}" * 3}
        for turn in range(8)
        for record in modules
    ]
    write_jsonl(runner.data / "raw" / "code" / "a.jsonl", many)
    write_jsonl(runner.data / "raw" / "zh" / "a.jsonl", poems())
    write_jsonl(runner.data / "raw" / "en" / "a.jsonl", poems()[:1])
    artifacts = []
    for name in ("calm", "killed"):
        output = f"file:///pretrain/data/{name}"
        run = pipeline_run("file:///pretrain/data/raw", output, tasks=2)
        (listed,) = runner.run("data", "list", run)
        assert listed.artifact is not None
        run = run.model_copy(update={"artifact": listed.artifact})
        folder = runner.data / name / listed.artifact.uri.removeprefix(output + "/")
        if name == "killed":
            pod = runner.start("data", "prepare", run, rank=1)
            wait_for_partial(folder)
            pod.process.kill()
            pod.process.wait()
            assert not list(folder.rglob("00001.*"))
        for stage in ("prepare", "prepare", "match", "decide", "write", "report"):
            runner.run("data", stage, run, 1 if stage in ("decide", "report") else 2)
        check_manifest(folder)
        artifacts.append(contents(folder))
    assert artifacts[0] == artifacts[1]


def wait_for_partial(folder: Path) -> None:
    """Wait until a task has started to write."""
    deadline = time.monotonic() + 60
    while not list(folder.rglob("*.partial")):
        assert time.monotonic() < deadline
        time.sleep(0.002)


BAD = "file:///pretrain/data"


@pytest.mark.parametrize(
    ("what", "stage", "want"),
    [
        ("glob", "list", f"{BAD}/raw/zh/\\*.csv: no file matches"),
        ("gzip", "decide", r"bad.jsonl.gz, the rest: file is damaged: is damaged near byte \d+"),
        ("rules", "decide", r"spec.rules: no document is left of \d+: rule 1-length dropped \d+"),
        ("secret", "list", "Secret absent: is not mounted"),
        ("empty", "list", "all 1 files are empty"),
    ],
)
def test_what_the_user_must_correct_is_named(
    what: str, stage: str, want: str, runner: StageRunner
) -> None:
    folder = runner.data / "raw" / "zh"
    write_jsonl(folder / "good.jsonl", poems())
    source: dict[str, Any] = {"name": "poems", "uri": f"{BAD}/raw/zh/*", "language": "zh"}
    rules: list[dict[str, Any]] = []
    match what:
        case "glob":
            source["uri"] = f"{BAD}/raw/zh/*.csv"
        case "gzip":
            source["uri"] = f"{BAD}/raw/zh/*.gz"
            packed = gzip.compress((folder / "good.jsonl").read_bytes())
            (folder / "bad.jsonl.gz").write_bytes(packed[:12])
        case "rules":
            rules = [{"length": {"minCharacters": 10**6}}]
        case "secret":
            source |= {"uri": "s3://b/x/*", "credentialsSecretRef": {"name": "absent"}}
        case "empty":
            (folder / "good.jsonl").write_bytes(b"")
    run = pipeline_run("", f"{BAD}/artifacts", sources=[source], rules=rules, tasks=1)
    code_of = 65 if what == "gzip" else 64
    for name in ("list", "prepare", "match", "decide"):
        (report,) = runner.run("data", name, run, code=code_of if name == stage else 0)
        if name == stage:
            break
        run = run.model_copy(update={"artifact": report.artifact or run.artifact})
    assert re.search(want, report.message), report.message


def test_what_is_left_of_a_damaged_file_is_kept_and_the_damage_is_told(runner: StageRunner) -> None:
    folder = runner.data / "raw"
    many = [{"id": str(n), "text": f"Text {n}: {n * 7919 % 1000003} words"} for n in range(9000)]
    write_jsonl(folder / "whole.jsonl.gz", many)
    packed = (folder / "whole.jsonl.gz").read_bytes()
    (folder / "whole.jsonl.gz").rename(folder / "b.jsonl.gz")
    (folder / "b.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    source = {"name": "texts", "uri": f"{BAD}/raw/*"}
    report = runner.run_pipeline(
        pipeline_run("", f"{BAD}/artifacts", sources=[source], rules=[], deduplication={}, tasks=1)
    )
    assert report.pipeline is not None
    assert report.pipeline.kept > 2000
    assert report.pipeline.quarantined == 1
    (warning,) = report.pipeline.warnings
    assert warning.startswith(
        "1 files are damaged, the first: file:///pretrain/data/raw/b.jsonl.gz"
    )


def test_a_part_of_the_mixture_without_documents_is_named(runner: StageRunner) -> None:
    write_corpus(runner.data / "raw")
    output = f"{BAD}/artifacts"
    report = runner.run_pipeline(pipeline_run(f"{BAD}/raw", output, tasks=1))
    assert report.artifact is not None
    documents = {"uri": report.artifact.uri, "digest": report.artifact.digest}
    mixture = [{"pipelineRef": {"name": "documents"}, "where": {"language": "fr"}}]
    run = dataset_run(documents, output, mixture=mixture)
    (failed,) = runner.run("dataset", "tokenize", run, code=64)
    want = (
        "spec.mixture[0]: no document of documents matches language fr; it has language: code, en"
    )
    assert want in failed.message
    tokens = tokenizer_run(documents, output, vocabularySize=200_000)
    (refused,) = runner.run("tokenizer", None, tokens, code=64)
    assert "200000 is too large" in refused.message


def test_a_wrong_key_is_refused_by_the_first_stage(
    s3_server: S3Server, runner: StageRunner
) -> None:
    write_corpus(s3_server.folder / "locked" / "raw")
    runner.secrets["store"] = {**s3_server.secret, "secretKey": "wrong"}
    secret = {"credentialsSecretRef": {"name": "store"}}
    run = pipeline_run("s3://locked/raw", "s3://locked/artifacts", secret=secret)
    (report,) = runner.run("data", "list", run, code=64)
    assert "s3://locked/raw/zh: access was refused (SignatureDoesNotMatch)" in report.message
    assert f"Secret store ({s3_server.endpoint})" in report.message
