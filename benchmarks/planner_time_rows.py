"""Read published training configurations: one row per run, with its speed or its memory."""

from collections.abc import Mapping
from dataclasses import dataclass

from planner_memory_rows import Unscorable

from pretrain_api.formulas.flops import flops_per_token
from pretrain_api.formulas.model_shapes import ExpertsShape, ModelShape
from pretrain_api.formulas.parameters import total_parameters
from pretrain_api.formulas.vocabulary import VOCABULARY_MULTIPLE, padded_vocabulary_size
from pretrain_api.profiles import Device, find_device
from pretrain_api.v1alpha1.training import Recompute
from pretrain_operator.planner.estimates.layout import Layout
from pretrain_operator.planner.estimates.planned_run import PlannedRun
from pretrain_operator.planner.estimates.step_shape import StepShape

Row = Mapping[str, str]

_GIB = 2**30


@dataclass(frozen=True)
class PublishedRun:
    """A run, and the device that it ran on."""

    run: PlannedRun
    device: Device


def read(row: Row) -> PublishedRun:
    """Return what ran.

    Raises:
        Unscorable: If the row says too little, or contradicts itself.
    """
    device = find_device(row["gpu"])
    if device is None:
        raise Unscorable(f"the device {row['gpu']!r} is unknown")
    model = _model(row)
    _refuse_other_size(row, model)
    layout = _layout(row, model)
    if not row["micro_batch"]:
        raise Unscorable("the micro-batch size was not published")
    for column in ("global_batch", "seq"):
        if not row[column]:
            raise Unscorable(f"{column} was not published")
    step = StepShape(
        micro_batch_size=int(float(row["micro_batch"])),
        global_batch_size=int(float(row["global_batch"])),
        seq_length=int(float(row["seq"])),
        recompute=_recompute(row),
        precision=_precision(row),
        has_fused_attention="(202" not in row["framework"],
        has_early_attention="(202" in row["framework"] or "llm-foundry" in row["framework"],
        has_upstream_kernels=True,
    )
    if step.global_batch_size % (step.micro_batch_size * layout.data_parallel):
        raise Unscorable(
            f"a batch of {step.global_batch_size} does not divide by micro-batch"
            f" {step.micro_batch_size} · data-parallel {layout.data_parallel}"
        )
    return PublishedRun(PlannedRun(model, layout, step), device)


def measured_seconds(row: Row, published: PublishedRun) -> float:
    """Return the measured time of a step: printed, or from the speed that was printed.

    Raises:
        Unscorable: If no speed was printed, or not how its FLOPs were counted.
    """
    if row["measured_iter_s"]:
        return float(row["measured_iter_s"])
    run = published.run
    tokens = run.step.global_batch_size * run.step.seq_length
    if row["measured_tok_s_gpu"]:
        return tokens / float(row["measured_tok_s_gpu"]) / run.layout.world_size
    flops = _counted_flops(row, run) * tokens
    if row["measured_tflops_gpu"]:
        return flops / (float(row["measured_tflops_gpu"]) * 1e12 * run.layout.world_size)
    if row["measured_mfu_pct"]:
        peak = published.device.bf16_teraflops * 1e12 * float(row["measured_mfu_pct"]) / 100
        return flops / (peak * run.layout.world_size)
    raise Unscorable("no speed was published")


def measured_memory(row: Row) -> float | None:
    """Return the measured peak in bytes, or nothing where it was not measured."""
    kind = row.get("mem_kind") or ""
    if not row.get("measured_mem_gib") or "THEOR" in kind.upper():
        return None
    return float(row["measured_mem_gib"]) * _GIB


def _counted_flops(row: Row, run: PlannedRun) -> float:
    """Return the FLOPs of a token as the row's source counts them."""
    model, sequence = run.model, run.step.seq_length
    text = (row.get("flops_convention") or "").lower()
    layers, hidden = model.layers, model.hidden_size
    rows = model.padded_vocabulary_size
    if "sc21" in text or "96b" in text:
        scale = 1 + sequence / (6 * hidden) + rows / (16 * layers * hidden)
        return 96 * layers * hidden**2 * scale
    if "72b" in text or row["group"].startswith("korthikanti"):
        scale = 1 + sequence / (6 * hidden) + rows / (12 * layers * hidden)
        return 72 * layers * hidden**2 * scale
    if "6n" in text:
        return 6 * total_parameters(model) + 12 * layers * hidden * sequence
    causal = flops_per_token(model, sequence)
    if "full" in text and "causal" not in text.replace("non-causal", ""):
        return causal + 6 * layers * model.query_width * sequence
    if "causal" in text:
        return causal
    raise Unscorable("only FLOP/s were published, and not how they were counted")


def _count(row: Row, column: str, default: int) -> int:
    """Return a whole number; blank, `-` and `n/a` mean the default."""
    try:
        return int(float(row.get(column) or default))
    except ValueError:
        return default


def _model(row: Row) -> ModelShape:
    for column in ("layers", "hidden", "heads", "vocab"):
        if not row[column]:
            raise Unscorable(f"{column} was not published")
    hidden, heads = _count(row, "hidden", 0), _count(row, "heads", 0)
    ffn = _count(row, "ffn", 4 * hidden)
    count = _count(row, "num_experts", 0)
    tensor = _count(row, "tp", 1)
    gated = "glu" in row["mlp"].lower()
    return ModelShape(
        layers=_count(row, "layers", 0),
        hidden_size=hidden,
        ffn_hidden_size=ffn,
        attention_heads=heads,
        query_groups=_count(row, "kv_heads", heads),
        head_dim=hidden // heads,
        padded_vocabulary_size=padded_vocabulary_size(
            _count(row, "vocab", 0), VOCABULARY_MULTIPLE * tensor
        ),
        is_tied="gelu" in row["mlp"].lower() and not gated,
        experts=ExpertsShape(count, _count(row, "topk", 2), ffn) if count else None,
        is_gated=gated,
        hidden_dropout="(202" in row["framework"],
        attention_dropout="(202" in row["framework"],
    )


def _refuse_other_size(row: Row, model: ModelShape) -> None:
    """A shape that does not add up to the printed size is not the shape that ran."""
    if not row["params_b"]:
        return
    printed, computed = float(row["params_b"]), total_parameters(model) / 1e9
    if abs(computed / printed - 1) > 0.2:
        raise Unscorable(
            f"the shape gives {computed:.1f} billion parameters, the row says {printed:g}: "
            "it is of a kind that is not modelled, or incomplete"
        )


def _layout(row: Row, model: ModelShape) -> Layout:
    tensor, pipeline, context = (_count(row, c, 1) for c in ("tp", "pp", "cp"))
    world, expert = _count(row, "n_gpus", 0), _count(row, "ep", 1)
    if not world:
        raise Unscorable("the number of devices was not published")
    if world % (tensor * pipeline * context):
        raise Unscorable(f"{world} devices do not divide by {tensor} · {pipeline} · {context}")
    data = _count(row, "dp", 0)
    if data and data * tensor * pipeline * context != world:
        raise Unscorable(
            f"{tensor} · {pipeline} · {context} · {data} devices are not the {world} of the row"
        )
    virtual = max(1, _count(row, "vpp", 1))
    sharded = bool(row["fsdp"]) and row["fsdp"].lower() not in ("no", "0", "1", "false")
    return Layout(
        world_size=world,
        stages=_stages(model.layers, pipeline),
        tensor=tensor,
        virtual=virtual,
        context=context,
        expert=expert,
        sequence_parallel=row["seq_parallel"].lower() in ("yes", "true", "1") and tensor > 1,
        distributed_optimizer=row["dist_opt"].lower() not in ("no", "false", "0"),
        is_fully_sharded=sharded,
    )


def _stages(layers: int, pipeline: int) -> tuple[int, ...]:
    """Cut evenly; what is left over is taken from the ends, where embedding and loss are."""
    each = -(-layers // pipeline)
    missing = each * pipeline - layers
    stages = [each] * pipeline
    for rank in [0, -1, *range(1, pipeline - 1)][:missing]:
        stages[rank] -= 1
    return tuple(stages)


def _recompute(row: Row) -> Recompute:
    text = row["recompute"].lower()
    if text.startswith("full"):
        return "full"
    return "selective" if text.startswith("sel") else "none"


def _precision(row: Row) -> str:
    text = row["precision"].lower()
    if "fp8" in text or "mxfp8" in text:
        return "fp8"
    if "fp4" in text:
        raise Unscorable(f"precision {text} is not modelled")
    return "fp16" if text == "fp16" else "bf16"
