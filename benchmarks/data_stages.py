"""MB of text per CPU-second of each data stage, with the real entry points.

    python benchmarks/data_stages.py                    the standard library and Python's manual
    python benchmarks/data_stages.py DATA.jsonl.gz …    other text, `{"text": …}` lines
    python benchmarks/data_stages.py --tasks 4 …

Runs a DataPipeline, a Tokenizer and a TokenDataset in a temporary folder, one task at a time, so
that the figures are those of one process. They include the start of the interpreter.
"""

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SINGLE = ("list", "decide", "report", "compose", "seal")


@dataclass
class StageCost:
    """What one stage costs, over all its tasks."""

    stage: str
    tasks: int
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int


class StageBench:
    """Runs stages as pods do, one task at a time, and records what they cost."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[StageCost] = []
        for name in ("spec", "scratch", "data/raw"):
            (folder / name).mkdir(parents=True)

    def run(self, module: str, stage: str, run: dict[str, Any], tasks: int) -> dict[str, Any]:
        """Run all tasks of a stage, and return the report of the first one."""
        (self.folder / "spec" / "spec.json").write_text(json.dumps(run), encoding="utf-8")
        wall, cpu, peak = 0.0, 0.0, 0
        first: dict[str, Any] = {}
        for rank in range(tasks):
            started, before = time.monotonic(), _children_cpu()
            report = self._task(module, stage, rank)
            wall += time.monotonic() - started
            cpu += _children_cpu() - before
            peak = max(peak, report["peakMemoryBytes"])
            first = first or report
        self.rows.append(StageCost(stage or module, tasks, wall, cpu, peak))
        return first

    def _task(self, module: str, stage: str, rank: int) -> dict[str, Any]:
        command = [
            sys.executable,
            "-m",
            f"pretrain_workloads.{module}",
            *([stage] if stage else []),
        ]
        changes = {"PRETRAIN_ROOT": str(self.folder), "JOB_COMPLETION_INDEX": str(rank)}
        done = subprocess.run(
            command, env=os.environ | changes, stderr=subprocess.PIPE, check=False
        )
        report: dict[str, Any] = json.loads((self.folder / "termination-log").read_bytes())
        if done.returncode:
            raise SystemExit(done.stderr.decode() + f"\n{report['message']}")
        return report


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def built_in_text(folder: Path) -> None:
    """Write the standard library and Python's manual as jsonl.gz."""
    from pydoc_data.topics import topics

    modules = sorted(Path(os.__file__).parent.rglob("*.py"))[:2500]
    texts = {str(path): path.read_text(encoding="utf-8", errors="replace") for path in modules}
    for name, chosen in (("code", texts), ("manual", topics)):
        lines = (json.dumps({"id": key, "text": text}) + "\n" for key, text in chosen.items())
        with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as stream:
            stream.writelines(lines)


def run_chain(bench: StageBench, tasks: int) -> int:
    """Run all stages, and return the bytes of text that they read."""
    output = {"uri": "file:///pretrain/data/artifacts"}
    sources = [{"name": "raw", "uri": "file:///pretrain/data/raw/*"}]
    rules = [{"length": {"minCharacters": 16}}, {"languageId": {}}, {"repetition": {}}]
    spec = {
        "sources": sources,
        "output": output,
        "rules": rules,
        "deduplication": {"near": {}},
        "tasks": tasks,
    }
    name = {"name": "bench", "namespace": "bench"}
    run: dict[str, Any] = name | {"spec": spec, "tasks": tasks}
    documents = bench.run("data", "list", run, 1)["artifact"]
    run |= {"artifact": documents}
    read = 0
    for stage in ("prepare", "match", "decide", "write", "report"):
        bench.run("data", stage, run, 1 if stage in SINGLE else tasks)
    root = Path(documents["uri"].replace("file:///pretrain", str(bench.folder), 1))
    report = json.loads((root / "report.json").read_bytes())
    read = sum(report["readByLanguage"]["bytes"].values())
    tokenizer = {"uri": output["uri"] + "/tokenizer/0", "digest": "0"}
    corpus = {"pipelineRef": {"name": "bench"}, "sampleBytes": "12M"}
    tokenizer_spec = {"corpus": corpus, "vocabularySize": 8192, "output": output}
    bench.run(
        "tokenizer",
        "",
        name | {"spec": tokenizer_spec, "artifact": tokenizer, "documents": documents},
        1,
    )
    dataset_spec = {
        "tokenizerRef": {"name": "bench"},
        "mixture": [{"pipelineRef": {"name": "bench"}}],
        "tokens": "8M",
        "blockTokens": "1M",
        "sequenceLength": 1024,
        "tasks": tasks,
        "output": output,
    }
    dataset = name | {
        "spec": dataset_spec,
        "tasks": tasks,
        "artifact": {"uri": output["uri"] + "/dataset/0", "digest": "0"},
        "tokenizer": tokenizer,
        "documents": [documents],
    }
    for stage in ("tokenize", "compose", "block", "seal"):
        bench.run("dataset", stage, dataset, 1 if stage in SINGLE else tasks)
    return read


def main() -> None:
    """Compile the kernels, run the chain, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--tasks", type=int, default=2)
    options = parser.parse_args()
    subprocess.run(
        [
            sys.executable,
            "-c",
            "from pretrain_workloads.data.dedup import minhash;"
            "from pretrain_workloads.data.rules import repetition_kernel;"
            "minhash.signatures(['x']); repetition_kernel.measure(['x'])",
        ],
        check=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        bench = StageBench(Path(folder))
        raw = bench.folder / "data" / "raw"
        for file in options.files:
            (raw / file.name).symlink_to(file.resolve())
        if not options.files:
            built_in_text(raw)
        size = run_chain(bench, options.tasks)
    print(f"{size / 1e6:.1f} MB of text, {options.tasks} tasks, one at a time")
    print(f"{'stage':<12}{'tasks':>6}{'wall s':>9}{'CPU s':>9}{'MB/CPU s':>10}{'peak MB':>9}")
    for row in bench.rows:
        speed = f"{size / 1e6 / row.cpu_seconds:10.1f}"
        print(
            f"{row.stage:<12}{row.tasks:>6}{row.wall_seconds:>9.2f}{row.cpu_seconds:>9.2f}"
            f"{speed}{row.peak_bytes / 1e6:>9.0f}"
        )


if __name__ == "__main__":
    main()
