"""Throughput and memory of our trainer on one GPU: slices of published shapes in bf16.

Each runs in a process of its own. MFU counts useful floating-point operations over the peak of the
device's data sheet: `full` with the whole attention matrix, as most papers do; `causal` with the
half of it that is needed, as runs report it. The ratio is that of our speed to that of transformers
compiled by torch.compile, with torch's fused AdamW and 32-bit weights under autocast.

    python benchmarks/gpu.py [--shapes 1B 8B-slice 30B-A3B-slice] [--micro-batches 1 4]
        [--peer] [--profile]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
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

_LINE = "{:>14} {:>6} {:>9} {:>9} {:>9} {:>7} {:>11} {:>9} {:>6}\n"
_TITLES = (
    *("model", "micro", "step, s", "tokens/s", "MFU full", "causal"),
    *("memory, GB", "start, s", "ratio"),
)


def main() -> None:
    """Measure every shape and micro-batch size, and print a line for each."""
    options = _parser().parse_args()
    if options.child:
        measured = _measure_peer(options) if options.child == "peer" else _measure(options)
        sys.stdout.write("\n" + json.dumps(measured))
        sys.stdout.flush()
        os._exit(0)
    sys.stdout.write(_LINE.format(*_TITLES))
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
    parser.add_argument("--peer", action="store_true", help="measure transformers too")
    parser.add_argument("--child", choices=("ours", "peer"), help=argparse.SUPPRESS)
    return parser


def _row(options: argparse.Namespace, shape: str, size: int) -> list[str]:
    """Run a model; return the cells of its row."""
    try:
        found = _run_child(options, "ours", shape, size)
        has_peer = options.peer and "A3B" not in shape
        peer = _run_child(options, "peer", shape, size) if has_peer else None
    except subprocess.CalledProcessError as error:
        return [shape, str(size), f"failed: {error.returncode}", *[""] * 6]
    return [
        shape,
        str(size),
        f"{found['seconds']:.3f}",
        f"{size * MICRO_BATCHES * options.length / found['seconds']:,.0f}",
        f"{found['full']:.3f}",
        f"{found['causal']:.3f}",
        f"{found['memory'] / 1e9:.1f}",
        f"{found['start']:.1f}",
        f"{peer['seconds'] / found['seconds']:.2f}" if peer else "",
    ]


def _run_child(options: argparse.Namespace, name: str, shape: str, size: int) -> dict[str, float]:
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
    command = [__file__, "--child", name, "--shapes", shape, "--length", str(options.length)]
    command += ["--micro-batches", str(size), "--device", options.device]
    command += ["--profile"] if options.profile else []
    with tempfile.TemporaryDirectory(prefix="bench-gpu") as folder:
        run = one_rank.make_run(model, training, options.device)
        one_rank.write_inputs(Path(folder), run, vocabulary)
        return one_rank.run_child(Path(folder), command, threads=4)


def _measure(options: argparse.Namespace) -> dict[str, float]:
    """Return what a step of our trainer takes."""
    began = time.perf_counter()
    training = one_rank.build_training()
    import torch

    from pretrain_api.formulas.flops import flops_per_token

    for _ in range(WARM_UP):
        training.run_step()
    start = time.perf_counter() - began
    seconds = _seconds_of(training.run_step)
    if options.profile:
        _print_kernels(training)
    layout = training.model.layout
    model, length = layout.model, options.length
    causal = flops_per_token(model, length)
    full = causal + 6 * model.layers * model.query_width * length
    is_gpu = torch.cuda.is_available()
    name = torch.cuda.get_device_name() if is_gpu else "cpu"
    peak = next((flops for key, flops in PEAK_FLOPS.items() if key in name), 1e12)
    share = layout.global_batch_size * length / seconds / peak
    return {
        "seconds": seconds,
        "start": start,
        "memory": torch.cuda.max_memory_allocated() if is_gpu else 0,
        "full": share * full,
        "causal": share * causal,
    }


def _measure_peer(options: argparse.Namespace) -> dict[str, float]:
    """Return what a step of transformers takes."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from pretrain_api.v1alpha1.model import ModelSpec

    vocabulary, fields = SHAPES[options.shapes[0]]
    shape = ModelSpec.model_validate(fields)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.ffn_hidden_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.attention_heads,
        num_key_value_heads=shape.key_value_heads,
        tie_word_embeddings=shape.tie_embeddings,
        max_position_embeddings=options.length,
        attn_implementation="sdpa",
        use_cache=False,
    )
    with torch.device(options.device):
        model = LlamaForCausalLM(config)
    compiled: Any = torch.compile(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), fused=True)
    size = (options.micro_batches[0], options.length)

    def step() -> None:
        for _ in range(MICRO_BATCHES):
            ids = torch.randint(0, vocabulary, size, device=options.device)
            with torch.autocast(options.device, torch.bfloat16):
                loss = compiled(input_ids=ids, labels=ids).loss
            (loss / MICRO_BATCHES).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        float(loss.detach())  # waits for the device, as a trainer that tells its loss does

    for _ in range(WARM_UP):
        step()
    return {"seconds": _seconds_of(step)}


def _seconds_of(step: Callable[[], object]) -> float:
    """Return the median time of a step, which waits for the device itself."""
    seconds = []
    for _ in range(STEPS):
        began = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


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
