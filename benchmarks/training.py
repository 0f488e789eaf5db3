"""Seconds of an optimizer step: our trainer next to transformers with torch's fused AdamW.

Each runs in a process of its own with two threads, the same shapes, batch, precision (fp32) and
data, turn by turn in one run. The machine must be quiet: on a busy one such figures mean nothing.
That both compute the same is tested (`tests/integration/trainer/test_model_families.py`).

    python benchmarks/training.py [--shapes 5M 10M 40M] [--lengths 256 512 2048] [--rounds 2]
"""

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from one_rank import build_training, make_run, run_child, write_inputs

VOCABULARY, BATCH, THREADS = 4096, 8, 2
MAX_LOAD = 3.0
"""Load of the last minute beyond which nothing is measured."""

SHAPES: dict[str, dict[str, Any]] = {
    "5M": {"layers": 4, "hiddenSize": 256, "ffnHiddenSize": 704, "attentionHeads": 4},
    "10M": {"layers": 6, "hiddenSize": 320, "ffnHiddenSize": 896, "attentionHeads": 5},
    "40M": {"layers": 10, "hiddenSize": 512, "ffnHiddenSize": 1408, "attentionHeads": 8},
}
"""By the number of parameters, about."""

_LINE = "{:>6} {:>8} {:>8} {:>8} {:>12} {:>10}\n"

WARM_UP, STEPS = 2, 8
"""Steps before those that are measured, and those."""


def main() -> None:
    """Measure every shape and length, and print a line for each."""
    options = _parser().parse_args()
    if options.child:
        is_ours = options.child == "ours"
        measured = _ours() if is_ours else _peer(options.shapes[0], options.lengths[0])
        sys.stdout.write(json.dumps(measured))
        sys.stdout.flush()
        os._exit(0)
    load = os.getloadavg()[0]
    if load > MAX_LOAD:
        raise SystemExit(f"the load is {load:.1f}: nothing is measured above {MAX_LOAD:g}")
    sys.stdout.write(
        f"seconds of a step of {BATCH} sequences, {THREADS} threads; ratios above 1: ours is\n"
        "faster, or needs less CPU time\n"
        + _LINE.format("model", "length", "ours", "peer", "speed ratio", "CPU ratio")
    )
    for shape in options.shapes:
        for length in options.lengths:
            sys.stdout.write(_LINE.format(*_row(shape, length, options.rounds)))
            sys.stdout.flush()  # a row takes minutes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--lengths", nargs="+", type=int, default=[256, 512, 2048])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--child", choices=("ours", "transformers"), help=argparse.SUPPRESS)
    return parser


def _row(shape: str, length: int, rounds: int) -> list[str]:
    """Run both, turn by turn; return the cells of their row."""
    found: dict[str, list[dict[str, float]]] = {"ours": [], "transformers": []}
    for _ in range(rounds):
        for name, results in found.items():
            results.append(_run_child(name, shape, length))
    wall, cpu = (
        {name: min(one[key] for one in results) for name, results in found.items()}
        for key in ("wall", "cpu")
    )
    return [
        shape,
        str(length),
        f"{wall['ours']:.3f}",
        f"{wall['transformers']:.3f}",
        f"{wall['transformers'] / wall['ours']:.2f}",
        f"{cpu['transformers'] / cpu['ours']:.2f}",
    ]


def _run_child(name: str, shape: str, length: int) -> dict[str, float]:
    """Run one of the two in a folder like a pod's; return what it measured."""
    training = {
        "tokens": (WARM_UP + STEPS) * BATCH * length,
        "sequenceLength": length,
        "globalBatchSize": BATCH,
        "microBatchSize": BATCH,
        "precision": "fp32",
    }
    run = make_run({**SHAPES[shape], "ropeBase": 10000}, training, "cpu")
    command = [__file__, "--child", name, "--shapes", shape, "--lengths", str(length)]
    with tempfile.TemporaryDirectory(prefix="bench-train") as folder:
        write_inputs(Path(folder), run, VOCABULARY)
        return run_child(Path(folder), command, THREADS)


def _ours() -> dict[str, float]:
    """Return the cost of a step of our trainer."""
    return _measured(build_training().run_step)


def _peer(shape: str, length: int) -> dict[str, float]:
    """Return the cost of a step of a Llama of transformers with the same shape."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.set_num_threads(THREADS)
    sizes = SHAPES[shape]
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=sizes["hiddenSize"],
        intermediate_size=sizes["ffnHiddenSize"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["attentionHeads"],
        max_position_embeddings=length,
        attn_implementation="sdpa",
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    wide = [one for one in model.parameters() if one.dim() > 1]
    flat = [one for one in model.parameters() if one.dim() == 1]
    groups = [{"params": wide, "weight_decay": 0.1}, {"params": flat, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), fused=True)
    block = Path(os.environ["PRETRAIN_ROOT"]) / "data/blocks/00000.bin"
    ids = torch.from_numpy(np.fromfile(block, np.uint16).astype(np.int64))
    starts = iter(range(0, len(ids) - 1, BATCH * length))

    def step() -> None:
        start = next(starts)
        flat_ids = ids[start : start + BATCH * length + 1]
        inputs, labels = flat_ids[:-1].view(BATCH, length), flat_ids[1:].view(BATCH, length)
        logits = model(inputs).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return _measured(step)


def _measured(step: Callable[[], object]) -> dict[str, float]:
    """Return wall and CPU seconds of a step: the median, and the mean."""
    for _ in range(WARM_UP):
        step()
    walls, began = [], _cpu_seconds()
    for _ in range(STEPS):
        start = time.perf_counter()
        step()
        walls.append(time.perf_counter() - start)
    cpu = (_cpu_seconds() - began) / STEPS
    return {"wall": statistics.median(walls), "cpu": cpu}


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
