"""What others would predict: Megatron-LM's own memory estimate, and one MFU for all runs."""

import statistics
from collections import defaultdict
from collections.abc import Sequence

from planner_time_rows import Run

from pretrain_operator.planner.estimates.flops import flops_per_token
from pretrain_operator.planner.estimates.setup import Layout, Model, Work
from pretrain_operator.planner.estimates.sizes import share_of_stage


def megatron_estimate(model: Model, layout: Layout, work: Work) -> float:
    """Return the bytes that Megatron-LM 0.19 reports for the first stage.

    Source: `training/theoretical_memory_usage.py`, in our words: it knows no context parallelism,
    no gated feed-forward, no full recomputation and no fp32 logits.
    """
    share = share_of_stage(model, layout, 0).total
    states = share * (6 + 12 / layout.data if layout.distributed_optimizer else 18)
    tokens = work.sequence * work.micro_batch
    kept: float = tokens * (18 * model.hidden + 4 * model.ffn) * model.layers
    kept += 8 * tokens * layout.pipeline + tokens * model.hidden * layout.pipeline
    if layout.virtual > 1:
        kept *= 1 + (layout.pipeline - 1) / (layout.pipeline * layout.virtual)
    if layout.pipeline == 1:
        kept += 4 * tokens * model.hidden * (1 + model.vocabulary / model.hidden)
    else:
        kept *= min(1.0, work.micro_batches(layout.data) / layout.pipeline)
    return states + kept / layout.tensor


def constant_mfu_seconds(runs: Sequence[tuple[Run, float]]) -> list[float]:
    """Return step times at the median MFU of each device and precision, of these very runs."""
    rates: dict[tuple[str, str], list[float]] = defaultdict(list)
    work = [_flops(run) for run, _ in runs]
    for (run, seconds), flops in zip(runs, work, strict=True):
        rates[run.device.name, run.work.precision].append(flops / seconds)
    middle = {key: statistics.median(values) for key, values in rates.items()}
    return [
        flops / middle[run.device.name, run.work.precision]
        for (run, _), flops in zip(runs, work, strict=True)
    ]


def _flops(run: Run) -> float:
    """Return the FLOPs of one device in a step."""
    tokens = run.work.global_batch * run.work.sequence / run.layout.world
    return flops_per_token(run.model, run.work.sequence) * tokens
