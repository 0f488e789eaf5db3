"""A training rank of its own, without launcher, agent and cluster: its folder, and its process."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from pretrain_workloads.indexed_blocks import index_bytes


def write_inputs(folder: Path, run: dict[str, Any], vocabulary: int) -> None:
    """Write `run`, and token blocks of random ids below `vocabulary` for all of its steps."""
    training = run["spec"]["training"]
    length = training["sequenceLength"]
    sequences = training["tokens"] // length
    dtype = np.dtype(np.uint16 if vocabulary <= 2**16 else np.int32)
    ids = np.random.default_rng(0).integers(0, vocabulary, sequences * length + 1)
    blocks = folder / "data/blocks"
    blocks.mkdir(parents=True)
    ids.astype(dtype).tofile(blocks / "00000.bin")
    (blocks / "00000.idx").write_bytes(index_bytes(np.array([len(ids)], np.int64), dtype))
    entry = {"path": "blocks/00000", "sequences": sequences}
    listed = {"sequenceLength": length, "vocabularySize": vocabulary, "blocks": [entry]}
    (folder / "data/blocks.json").write_text(json.dumps(listed))
    (folder / "spec").mkdir()
    (folder / "scratch").mkdir()
    (folder / "spec/spec.json").write_text(json.dumps(run))


def make_run(model: dict[str, Any], training: dict[str, Any], device: str) -> dict[str, Any]:
    """Return a run in one process that neither evaluates nor exports."""
    artifact = {"uri": "file:///pretrain/data", "digest": "d" * 64}
    schedule = {"warmup": {"tokens": 0}, "decay": {"shape": "constant"}}
    optimizer = {"learningRate": 1e-3, "minLearningRate": 1e-3}
    return {
        "name": "bench",
        "namespace": "default",
        "attempt": 1,
        "spec": {
            "model": model,
            "data": {"datasetRef": {"name": "blocks"}},
            "training": {"optimizer": optimizer, "schedule": schedule, **training},
            "checkpoint": {"uri": "file:///pretrain/checkpoints"},
            "evaluation": {"perplexity": False},
        },
        "inputs": {"dataset": artifact, "tokenizer": artifact, "digest": "f" * 64},
        "dataset": artifact,
        "tokenizer": artifact,
        "processesPerNode": 1,
        "device": device,
        "rendezvousHost": "127.0.0.1",
        "rendezvousPort": 1,
    }


def run_child(folder: Path, command: list[str], threads: int) -> dict[str, Any]:
    """Run a Python program as the only rank of a pod; return the JSON of its last line."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "OMP_NUM_THREADS": str(threads),
        "PRETRAIN_ROOT": str(folder),
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "LOCAL_WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo",
    }
    output = subprocess.run(
        [sys.executable, *command],
        env=os.environ | environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    measured: dict[str, Any] = json.loads(output.splitlines()[-1])
    return measured


def build_training() -> Any:
    """Return the run of this process, as a rank does before its first step."""
    from pretrain_api.runs import TrainingRun
    from pretrain_workloads.task import load_run
    from pretrain_workloads.trainer.megatron.backend import prepare_backend
    from pretrain_workloads.trainer.pod.heartbeat import Heartbeat
    from pretrain_workloads.trainer.pod.interrupts import StopRequest
    from pretrain_workloads.trainer.pod.workspace import Workspace

    run = load_run(TrainingRun)
    backend = prepare_backend(run.device)
    from pretrain_workloads.trainer.setup import build_training as build

    workspace = Workspace.of_pod()
    workspace.clear()
    beat = Heartbeat(workspace.heartbeats, 0, 600.0)
    return build(run, backend, workspace, StopRequest(workspace), beat)
