"""Small runs for tests of the trainer: a folder like a pod's `/pretrain`, and its parts."""

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pretrain_api.reports import ExitReport

VOCABULARY = 256
LENGTH = 32
BATCH = 8

MODEL = {
    "layers": 4,
    "hiddenSize": 64,
    "ffnHiddenSize": 128,
    "attentionHeads": 4,
    "queryGroups": 2,
    "ropeBase": 10000,
}


def write_block(prefix: Path, sequences: int, seed: int) -> dict[str, Any]:
    """Write a token block in Megatron-core's indexed format: counting sequences with some noise."""
    rng = np.random.default_rng(seed)
    size = sequences * LENGTH + 1
    steps = np.repeat(rng.integers(1, 9, sequences + 1), LENGTH)[:size]
    tokens = (np.cumsum(steps) + rng.integers(0, 3, size)) % VOCABULARY
    prefix.parent.mkdir(parents=True, exist_ok=True)
    tokens.astype(np.uint16).tofile(prefix.with_suffix(".bin"))
    header = b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, 8, 1, 2)
    lengths = struct.pack("<iqqq", size, 0, 0, 1)
    prefix.with_suffix(".idx").write_bytes(header + lengths)
    return {"sequences": sequences, "tokens": sequences * LENGTH}


def write_dataset(
    folder: Path, blocks: int = 2, sequences: int = 120, sets: Sequence[str] = ()
) -> None:
    """Write a dataset's artifact, with named validation sets or an unnamed one."""
    index: dict[str, Any] = {"sequenceLength": LENGTH, "vocabularySize": VOCABULARY}
    index["blocks"] = [
        {"path": f"blocks/{n:05d}", **write_block(folder / f"blocks/{n:05d}", sequences, n)}
        for n in range(blocks)
    ]
    index["validation"] = [
        {"path": path, **write_block(folder / path, 11 + 2 * n, 99 + n)}
        | ({"name": name} if name else {})
        for n, name in enumerate(sets or [""])
        for path in [f"validation/{n:05d}"]
    ]
    (folder / "blocks.json").write_text(json.dumps(index))


def make_run(**changes: Any) -> dict[str, Any]:
    """Return a run's JSON; `changes` are merged into `spec`, one level deep."""
    spec: dict[str, Any] = {
        "model": dict(MODEL),
        "data": {"datasetRef": {"name": "blocks"}},
        "parallelism": {},
        "training": {
            "tokens": 10 * BATCH * LENGTH,
            "sequenceLength": LENGTH,
            "globalBatchSize": BATCH,
            "precision": "fp32",
            "optimizer": {"learningRate": 3e-3, "minLearningRate": 3e-4},
            "schedule": {"warmup": {"tokens": 2 * BATCH * LENGTH}},
        },
        "checkpoint": {"uri": "file:///pretrain/checkpoints", "every": {"steps": 1000}},
        "evaluation": {"perplexity": True},
    }
    for field, value in changes.items():
        spec[field] = {**spec.get(field, {}), **value}
    parallel = spec["parallelism"]
    return {
        "name": "run",
        "namespace": "default",
        "spec": spec,
        "attempt": 1,
        "inputs": {
            "dataset": {"uri": "file:///pretrain/data", "digest": "d" * 64},
            "tokenizer": {"uri": "file:///pretrain/tokenizer", "digest": "e" * 64},
            "digest": "f" * 64,
        },
        "dataset": {"uri": "file:///pretrain/data", "digest": "d" * 64},
        "tokenizer": {"uri": "file:///pretrain/tokenizer", "digest": "e" * 64},
        "processesPerNode": parallel.pop("processes", 1),
        "device": "cpu",
        "rendezvousHost": "127.0.0.1",
        "rendezvousPort": 0,
    }


def write_tokenizer(folder: Path) -> None:
    """Write a Hugging Face tokenizer with one id for each byte-like character."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder.mkdir(parents=True, exist_ok=True)
    letters = {"<unk>": 0, "<s>": 1, "</s>": 2}
    letters |= {chr(0x4E00 + n): n + 3 for n in range(VOCABULARY - 3)}
    tokenizer = Tokenizer(models.BPE(vocab=letters, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "tokenizer.model").write_bytes(b"")


def losses(report: ExitReport) -> list[float]:
    """Return the loss of every step of a short run."""
    return [point.loss for point in report.curve]


def on_s3(run: dict[str, Any], bucket: str, secret: str = "store") -> dict[str, Any]:
    """Return `run` with all that it reads and writes in a bucket that a Secret opens."""
    moved: dict[str, Any] = json.loads(
        json.dumps(run).replace("file:///pretrain/", f"s3://{bucket}/")
    )
    for artifact in ("dataset", "tokenizer"):
        moved[artifact]["credentialsSecret"] = secret
    export = moved["spec"].get("export", {}).get("huggingFace")
    existing = moved["spec"].get("initialize", {}).get("huggingFace")
    for location in (moved["spec"]["checkpoint"], export, existing):
        if location is not None:
            location["credentialsSecretRef"] = {"name": secret}
    return moved
