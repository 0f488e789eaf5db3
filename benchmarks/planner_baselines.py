"""What others would predict: Megatron-LM's own memory estimate, and one MFU for all runs."""

import statistics
from collections import defaultdict
from collections.abc import Sequence

from planner_time_rows import PublishedRun

from pretrain_api.formulas.flops import flops_per_token
from pretrain_operator.planner.estimates.device_parameters import device_parameters
from pretrain_operator.planner.estimates.planned_run import PlannedRun


def megatron_estimate(run: PlannedRun) -> float:
    """Return the bytes that Megatron-LM 0.19 reports for the first stage.

    Source: `training/theoretical_memory_usage.py`, in our words: it knows no context parallelism,
    no gated feed-forward, no full recomputation and no fp32 logits.
    """
    model, layout = run.model, run.layout
    parameters = device_parameters(run, 0).total
    states = parameters * (6 + 12 / layout.data_parallel if layout.distributed_optimizer else 18)
    tokens = run.step.seq_length * run.step.micro_batch_size
    kept: float = tokens * (18 * model.hidden_size + 4 * model.ffn_hidden_size) * model.layers
    kept += 8 * tokens * layout.pipeline + tokens * model.hidden_size * layout.pipeline
    if layout.virtual > 1:
        kept *= 1 + (layout.pipeline - 1) / (layout.pipeline * layout.virtual)
    if layout.pipeline == 1:
        rows = model.padded_vocabulary_size
        kept += 4 * tokens * model.hidden_size * (1 + rows / model.hidden_size)
    else:
        kept *= min(1.0, run.micro_batches / layout.pipeline)
    return states + kept / layout.tensor


def constant_mfu_seconds(runs: Sequence[tuple[PublishedRun, float]]) -> list[float]:
    """Return step times at the median MFU of each device and precision, of these very runs."""
    rates: dict[tuple[str, str], list[float]] = defaultdict(list)
    all_flops = [_flops(published.run) for published, _ in runs]
    for (published, seconds), flops in zip(runs, all_flops, strict=True):
        rates[_kind(published)].append(flops / seconds)
    middle = {key: statistics.median(values) for key, values in rates.items()}
    return [
        flops / middle[_kind(published)]
        for (published, _), flops in zip(runs, all_flops, strict=True)
    ]


def _kind(published: PublishedRun) -> tuple[str, str]:
    """Return what runs of one MFU have in common: device and precision."""
    return published.device.name, published.run.step.precision


def _flops(run: PlannedRun) -> float:
    """Return the FLOPs of one device in a step."""
    tokens = run.step.global_batch_size * run.step.seq_length / run.layout.world_size
    return flops_per_token(run.model, run.step.seq_length) * tokens
