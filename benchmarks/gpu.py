"""Throughput and memory of our trainer on one GPU: slices of published shapes in bf16.

Each runs in a process of its own. MFU counts useful floating-point operations over the peak of the
device's data sheet: `full` with the whole attention matrix, as most papers do; `causal` with the
half of it that is needed, as runs report it.

    python benchmarks/gpu.py [--shapes 1B 8B-slice 30B-A3B-slice] [--micro-batches 1 4] [--profile]
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import one_rank

LENGTH, WARM_UP, STEPS, MICRO_BATCHES = 4096, 3, 8, 4
"""Tokens of a sequence; steps before those that are measured; those; micro-batches of a step."""

SHAPES: dict[str, tuple[int, dict[str, Any]]] = {
    "1B": (128_256, {"preset": "llama3.2-1b"}),
    "8B-slice": (128_256, {"preset": "llama3.1-8b", "layers": 8}),
    "30B-A3B-slice": (151_936, {"preset": "qwen3-30b-a3b", "layers": 4}),
}
"""Ids of the vocabulary and model, by name."""

PEAK_FLOPS = {"H100": 989.4e12, "H200": 989.4e12, "A100": 312e12}

_LINE = "{:>14} {:>6} {:>9} {:>9} {:>9} {:>9} {:>11} {:>9}\n"


def main() -> None:
    """Measure every shape and micro-batch size, and print a line for each."""
    options = _parser().parse_args()
    if options.child:
        sys.stdout.write("\n" + json.dumps(_measure(options)))
        sys.stdout.flush()
        os._exit(0)
    titles = (
        "model",
        "micro",
        "step, s",
        "tokens/s",
        "MFU full",
        "causal",
        "memory, GB",
        "start, s",
    )
    sys.stdout.write(_LINE.format(*titles))
    for shape in options.shapes:
        for size in options.micro_batches:
            sys.stdout.write(_LINE.format(*_row(options, shape, size)))
            sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--micro-batches", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--recompute", default="none")
    parser.add_argument("--length", type=int, default=LENGTH)
    parser.add_argument("--device", default="cuda")
    parser.add_argument(
        "--profile", action="store_true", help="print the kernels that take longest"
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser


def _row(options: argparse.Namespace, shape: str, size: int) -> list[str]:
    vocabulary, model = SHAPES[shape]
    batch = size * MICRO_BATCHES
    training = {
        "tokens": (WARM_UP + STEPS + 2) * batch * options.length,
        "sequenceLength": options.length,
        "globalBatchSize": batch,
        "microBatchSize": size,
        "precision": "bf16",
        "recompute": options.recompute,
    }
    command = [__file__, "--child", "--shapes", shape, "--length", str(options.length)]
    command += ["--profile"] if options.profile else []
    with tempfile.TemporaryDirectory(prefix="bench-gpu") as folder:
        run = one_rank.make_run(model, training, options.device)
        one_rank.write_inputs(Path(folder), run, vocabulary)
        try:
            found = one_rank.run_child(Path(folder), command, threads=4)
        except Exception as error:
            return [shape, str(size), "failed", type(error).__name__, "", "", "", ""]
    return [
        shape,
        str(size),
        f"{found['seconds']:.3f}",
        f"{batch * options.length / found['seconds']:,.0f}",
        f"{found['full']:.3f}",
        f"{found['causal']:.3f}",
        f"{found['memory'] / 1e9:.1f}",
        f"{found['start']:.1f}",
    ]


def _measure(options: argparse.Namespace) -> dict[str, float]:
    began = time.perf_counter()
    training = one_rank.build_training()
    import torch

    from pretrain_api.formulas.flops import flops_per_token

    for _ in range(WARM_UP):
        training.run_step()
    start = time.perf_counter() - began
    seconds = []
    for _ in range(STEPS):
        began = time.perf_counter()
        training.run_step()
        seconds.append(time.perf_counter() - began)
    if options.profile:
        _print_kernels(training)
    layout = training.model.layout
    model, length = layout.model, options.length
    speed = layout.global_batch_size * length / statistics.median(seconds)
    causal = flops_per_token(model, length)
    full = causal + 6 * model.layers * model.query_width * length
    is_gpu = torch.cuda.is_available()
    name = torch.cuda.get_device_name() if is_gpu else "cpu"
    peak = next((flops for key, flops in PEAK_FLOPS.items() if key in name), 1e12)
    return {
        "seconds": statistics.median(seconds),
        "start": start,
        "memory": torch.cuda.max_memory_allocated() if is_gpu else 0,
        "full": speed * full / peak,
        "causal": speed * causal / peak,
    }


def _print_kernels(training: Any) -> None:
    """Print the kernels of a step that take longest."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as profiler:
        training.run_step()
        torch.cuda.synchronize()
    table = profiler.key_averages().table(
        sort_by="self_cuda_time_total", row_limit=45, max_name_column_width=70
    )
    for line in table.splitlines():
        cells = line.split("  ")
        print("  ".join(c.strip() for c in cells if c.strip())[:260], file=sys.stderr)


if __name__ == "__main__":
    main()
