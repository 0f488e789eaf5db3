"""CPU-seconds and memory of `match` and `decide` on synthetic signatures of many documents.

    make bench-dedup [DOCUMENTS="5000000 50000000"] [TASKS=4] [FOLDER=/fast/disk]

Documents come in clusters as in web crawls: most are alone, some are exact copies, some are
near-duplicates in clusters of 2 to 64, and one template has a page for every 1,000 documents. A
document needs 400 bytes on disk. Signatures are drawn, not computed: each member of a cluster
replaces a random share of its minima.
"""

import argparse
import json
import os
import resource
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from pretrain_api.runs import PipelineRun
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec
from pretrain_workloads.data.dedup.bands import banding
from pretrain_workloads.data.dedup.minhash import PERMUTATIONS
from pretrain_workloads.data.dedup.signature_files import signature_writer
from pretrain_workloads.data.files import PipelineFiles
from pretrain_workloads.data.shards import PREPARED, ShardWriter
from pretrain_workloads.storage import Folder, open_output

BATCH = 100_000
"""Documents that are made at once."""

CLUSTERS = ((1, 0.70), (2, 0.12), (4, 0.08), (16, 0.05), (64, 0.02), (0, 0.03))
"""Share of the documents in clusters of each size; size 0 are exact copies."""

CHARACTERS = 2000


def signatures_of(rng: np.random.Generator, template: Any) -> tuple[Any, Any]:
    """Return signatures and text hashes of a batch."""
    rows, hashes = [], []
    for size, share in CLUSTERS:
        count = int(BATCH * share)
        members = max(1, size or 4)
        heads = rng.integers(0, 1 << 16, (-(-count // members), PERMUTATIONS), np.uint16)
        part = np.repeat(heads, members, axis=0)[:count]
        names = rng.integers(1, 1 << 63, len(part), np.uint64)
        if size == 0:
            names = np.repeat(names[: len(heads)], members)[:count]
        elif size > 1:
            changed = rng.random(part.shape) < rng.random((len(part), 1)) * 0.25
            part[changed] = rng.integers(0, 1 << 16, int(changed.sum()), np.uint16)
        rows.append(part)
        hashes.append(names)
    pages = BATCH // 1000
    made, names = np.concatenate(rows), np.concatenate(hashes)
    changed = rng.random((pages, PERMUTATIONS)) < 0.05
    made[:pages] = np.where(changed, made[:pages], template)
    order = rng.permutation(len(made))
    return made[order], names[order]


def make_prepared(run: PipelineRun, folder: Folder, documents: int) -> None:
    """Write what the tasks of `prepare` would hand over."""
    names, spec = PipelineFiles(run.tasks), banding(run.spec.deduplication)
    rng = np.random.default_rng(0)
    template = rng.integers(0, 1 << 16, PERMUTATIONS, np.uint16)
    for rank in range(run.tasks):
        rows = 0
        with (
            signature_writer(folder, names, rank, spec) as writer,
            folder.publish(names.shard(rank)) as publication,
            closing(ShardWriter(publication.local, PREPARED)) as shard,
        ):
            for _ in range(documents // BATCH // run.tasks):
                made, hashes = signatures_of(rng, template)
                writer.add(made, hashes, np.full(len(made), float(CHARACTERS)))
                shard.add(_columns(hashes))
                rows += len(made)
        folder.write_json(names.prepared(rank), _counts(rows))


def _columns(hashes: Any) -> dict[str, Any]:
    count = len(hashes)
    digests = [bytes(16 - 8) + value for value in map(bytes, hashes.view(np.uint8).reshape(-1, 8))]
    columns: dict[str, Any] = {name: [""] * count for name in ("id", "origin", "text", "source")}
    columns |= {"language": ["zh"] * count, "domain": ["web"] * count, "quality": [None] * count}
    sizes = np.full(count, CHARACTERS)
    return columns | {"bytes": sizes, "characters": sizes, "prompt": sizes * 0, "hash": digests}


def _counts(rows: int) -> dict[str, Any]:
    read = {"s": {"documents": rows}}
    return {"passed": rows, "read": read, "rejected": {}, "quarantined": {}, "first_bad": []}


def in_a_child(work: Callable[[], object]) -> tuple[float, float]:
    """Run `work` in a process of its own; return its CPU-seconds and its peak memory in GB."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, code, used = os.wait4(pid, 0)
    if code:
        raise SystemExit("a stage failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6


def measure(documents: int, tasks: int, root: Path) -> None:
    """Print what the two stages cost."""
    spec = DataPipelineSpec.model_validate(
        {
            "sources": [{"name": "s", "uri": "file:///pretrain/none"}],
            "output": {"uri": f"file://{root}"},
            "deduplication": {"near": {"similarity": 0.8}},
        }
    )
    artifact = ArtifactRef(uri=f"file://{root}/artifact", digest="0")
    run = PipelineRun(name="scale", namespace="n", spec=spec, artifact=artifact, tasks=tasks)
    folder, started = open_output(run), time.monotonic()
    make_prepared(run, folder, documents)
    print(f"{documents:,} documents made in {time.monotonic() - started:.0f} s", flush=True)
    from pretrain_workloads.data.decide import decide
    from pretrain_workloads.data.match import match

    costs = [in_a_child(lambda rank=rank: match(run, rank)) for rank in range(tasks)]  # type: ignore[misc]
    cpu, peak = sum(cost[0] for cost in costs), max(cost[1] for cost in costs)
    print(f"match   {cpu:8.1f} CPU s  {cpu / documents * 1e6:6.2f} us a document  {peak:5.2f} GB")
    cpu, peak = in_a_child(lambda: decide(run))
    print(f"decide  {cpu:8.1f} CPU s  {cpu / documents * 1e6:6.2f} us a document  {peak:5.2f} GB")
    done = json.loads(Path(root, "artifact", PipelineFiles(tasks).decided).read_bytes())
    print({name: done[name] for name in ("exact", "near", "kept")}, flush=True)


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("documents", nargs="+", type=int)
    parser.add_argument("--tasks", type=int, default=4)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.2f}; limit of memory: ", end="")
    print(resource.getrlimit(resource.RLIMIT_AS)[0])
    for documents in options.documents:
        root = Path(tempfile.mkdtemp(dir=options.folder))
        try:
            measure(documents, options.tasks, root)
        finally:
            shutil.rmtree(root)


if __name__ == "__main__":
    main()
