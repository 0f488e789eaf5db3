"""MB of text per CPU-second of each data stage, next to datatrove and to the floor of reading.

    make bench-data CORPUS=FOLDER        zh.jsonl, en.jsonl and code.jsonl of `make corpus`
    python benchmarks/data_stages.py FOLDER --megabytes 30 --tasks 2 --parallel --profile

Each language goes through a DataPipeline, a Tokenizer and a TokenDataset, with the real entry
points. CPU-seconds include the start of each pod, so short runs look slower than long ones.
"""

import argparse
import cProfile
import json
import os
import pstats
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from data_peers import datatrove_seconds, floor_seconds
from stage_bench import SINGLE, StageBench, start_seconds

OUTPUT = {"uri": "file:///pretrain/data/artifacts"}
NAME = {"name": "bench", "namespace": "bench"}
PEER_BYTES = 2_000_000
"""Text for datatrove, which needs seconds for a megabyte."""


def sample(corpus: Path, language: str, size: int, target: Path) -> None:
    """Write about `size` bytes of randomly drawn lines of a corpus."""
    with (corpus / f"{language}.jsonl").open("rb") as stream:
        lines = stream.readlines()
    random.Random(0).shuffle(lines)
    with target.open("wb") as stream:
        for line in lines:
            if stream.tell() >= size:
                break
            stream.write(line)


def pipeline(bench: StageBench, tasks: int) -> tuple[dict[str, Any], int]:
    """Run a DataPipeline; return its artifact, and the bytes of text that it read."""
    spec = {
        "sources": [{"name": "raw", "uri": "file:///pretrain/data/raw/*"}],
        "output": OUTPUT,
        "rules": [{"length": {"minCharacters": 16}}, {"languageId": {}}, {"repetition": {}}],
        "deduplication": {"near": {}},
        "tasks": tasks,
    }
    run: dict[str, Any] = NAME | {"spec": spec, "tasks": tasks}
    artifact: dict[str, Any] = bench.run("data", "list", run, 1)["artifact"]
    for stage in ("prepare", "match", "decide", "write", "report"):
        once = stage in SINGLE
        bench.run("data", stage, run | {"artifact": artifact}, 1 if once else tasks)
    root = Path(artifact["uri"].replace("file:///pretrain", str(bench.folder), 1))
    report = json.loads((root / "report.json").read_bytes())
    return artifact, sum(report["readByLanguage"]["bytes"].values())


def dataset(bench: StageBench, documents: dict[str, Any], tasks: int) -> None:
    """Run a Tokenizer and a TokenDataset on documents."""
    tokenizer = {"uri": OUTPUT["uri"] + "/tokenizer/0", "digest": "0"}
    corpus = {"pipelineRef": {"name": "bench"}, "sampleBytes": "12M"}
    spec: dict[str, Any] = {"corpus": corpus, "vocabularySize": 8192, "output": OUTPUT}
    run: dict[str, Any] = {"spec": spec, "artifact": tokenizer, "documents": documents}
    bench.run("tokenizer", "", NAME | run, 1)
    spec = {
        "tokenizerRef": {"name": "bench"},
        "mixture": [{"pipelineRef": {"name": "bench"}}],
        "tokens": "8M",
        "blockTokens": "1M",
        "sequenceLength": 1024,
        "tasks": tasks,
        "output": OUTPUT,
    }
    artifact = {"uri": OUTPUT["uri"] + "/dataset/0", "digest": "0"}
    run = NAME | {"spec": spec, "tasks": tasks, "artifact": artifact}
    run |= {"tokenizer": tokenizer, "documents": [documents]}
    for stage in ("tokenize", "compose", "block", "seal"):
        bench.run("dataset", stage, run, 1 if stage in SINGLE else tasks)


def print_stages(bench: StageBench, language: str, size: int) -> None:
    """Print what each stage cost."""
    print(f"\n{language}: {size / 1e6:.1f} MB of text")
    print(f"{'stage':<12}{'tasks':>6}{'wall s':>9}{'CPU s':>9}{'MB/CPU s':>10}{'peak MB':>9}")
    for row in bench.rows:
        print(
            f"{row.stage:<12}{row.tasks:>6}{row.wall_seconds:>9.2f}{row.cpu_seconds:>9.2f}"
            f"{size / 1e6 / row.cpu_seconds:10.1f}{row.peak_bytes / 1e6:>9.0f}"
        )


def print_peers(corpus: Path, language: str, file: Path, size: int) -> None:
    """Print the floor, and datatrove's blocks on a small part of the same text."""
    print(f"{'floor: read and parse':<27}{size / 1e6 / floor_seconds(file):20.1f}")
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "raw" / "part.jsonl"
        part.parent.mkdir()
        sample(corpus, language, PEER_BYTES, part)
        text = sum(len(json.loads(line)["text"].encode()) for line in part.open("rb"))
        seconds = datatrove_seconds(part.parent, Path(folder) / "out", language)
    print(f"{'datatrove, as prepare':<27}{text / 1e6 / seconds:20.2f}")


def print_profile(bench: StageBench) -> None:
    """Print the five functions of each stage of the pipeline that take the most time."""
    for pod in sorted((bench.folder / "pods").glob("data-*-0")):
        stage = pod.name.split("-")[1]
        script = f"from data_stages import profiled; profiled({stage!r})"
        changes = {"PRETRAIN_ROOT": str(pod), "JOB_COMPLETION_INDEX": "0"}
        folder = str(Path(__file__).parent)
        subprocess.run([sys.executable, "-c", script], env=os.environ | changes, cwd=folder)


def profiled(stage: str) -> None:
    """Run a stage of a DataPipeline here, under the profiler."""
    from pretrain_workloads.data.__main__ import run_stage

    profile = cProfile.Profile()
    profile.runcall(run_stage, stage)
    rows = sorted(pstats.Stats(profile).get_stats_profile().func_profiles.items())
    top = sorted(rows, key=lambda item: -item[1].tottime)[:5]
    print(f"{stage}: " + ", ".join(f"{name} {cost.tottime:.2f} s" for name, cost in top))


def main() -> None:
    """Measure each language."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--languages", default="zh,en,code")
    parser.add_argument("--megabytes", type=float, default=30)
    parser.add_argument("--tasks", type=int, default=1)
    parser.add_argument("--parallel", action="store_true", help="run the tasks of a stage at once")
    parser.add_argument("--profile", action="store_true", help="also name the slowest functions")
    options = parser.parse_args()
    print(f"load of this machine before: {os.getloadavg()[0]:.2f}; {options.tasks} tasks")
    start_seconds()  # compiles the kernels, if they are not
    print(f"a pod of prepare starts in {start_seconds():.2f} CPU-seconds")
    for language in options.languages.split(","):
        with tempfile.TemporaryDirectory() as folder:
            bench = StageBench(Path(folder), options.parallel)
            file = bench.folder / "data" / "raw" / "a.jsonl"
            sample(options.corpus, language, int(options.megabytes * 1e6), file)
            documents, size = pipeline(bench, options.tasks)
            dataset(bench, documents, options.tasks)
            print_stages(bench, language, size)
            print_peers(options.corpus, language, file, size)


if __name__ == "__main__":
    main()
