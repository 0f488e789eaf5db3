"""Read measured peak memory: one row per run of Megatron-LM's own tests, by argument names."""

import math
from collections.abc import Mapping

from pretrain_api.formulas.model_shapes import ExpertsShape, ModelShape
from pretrain_api.formulas.vocabulary import padded_vocabulary_size
from pretrain_operator.planner.estimates.layout import Layout
from pretrain_operator.planner.estimates.planned_run import PlannedRun
from pretrain_operator.planner.estimates.step_shape import StepShape

Row = Mapping[str, str]

# Tokenizers of those tests: ids before padding.
_VOCABULARIES = {
    "nemotron_2_256k.model": 256_000,
    "NullTokenizer": 131_072,
    "GPT2BPETokenizer": 50_257,
    "GPTSentencePieceTokenizer": 256_000,
    "HuggingFaceTokenizer": 128_256,
    "TikTokenizer": 131_072,
}


class Unscorable(Exception):
    """Why a row says too little, or is of a model that the planner does not know."""


def read(row: Row) -> tuple[PlannedRun, float]:
    """Return what ran, and the peak of the last pipeline rank in bytes.

    Raises:
        Unscorable: With the reason.
    """
    measured = float(row["mem_max_allocated_bytes"] or 0)
    if not measured:
        raise Unscorable("no peak memory was recorded")
    _refuse_unknown_models(row)
    tensor, pipeline = _int(row, "tensor-model-parallel-size", 1), _pipeline(row)
    model = _model(row, tensor)
    layout = _layout(row, model, tensor, pipeline)
    return PlannedRun(model, layout, _step(row)), measured


def _refuse_unknown_models(row: Row) -> None:
    for column, what in (
        ("multi-latent-attention", "multi-latent attention"),
        ("hybrid-layer-pattern", "hybrid (Mamba) layers"),
        ("hybrid-override-pattern", "hybrid (Mamba) layers"),
        ("use-megatron-fsdp", "Megatron-FSDP"),
        ("use-custom-fsdp", "Megatron-FSDP"),
        ("use-torch-fsdp2", "PyTorch FSDP2"),
        ("mtp-num-layers", "multi-token prediction"),
    ):
        if row.get(column) not in (None, "", "0", "False"):
            raise Unscorable(f"{what} is not modelled")
    for column in ("num-layers", "hidden-size", "num-attention-heads", "seq-length"):
        if not row.get(column):
            raise Unscorable(f"{column} was not recorded")


def _model(row: Row, tensor: int) -> ModelShape:
    hidden, heads = _int(row, "hidden-size"), _int(row, "num-attention-heads")
    gated = _flag(row, "swiglu")
    default = int(4 * hidden * 2 / 3 / 64) * 64 if gated else 4 * hidden
    ffn = _int(row, "ffn-hidden-size", default)
    grouped = _flag(row, "group-query-attention")
    divisor = _int(row, "make-vocab-size-divisible-by", 128)
    rope = row.get("position-embedding-type", "") not in ("", "learned_absolute")
    count = _int(row, "num-experts", 0)
    experts = None
    if count:
        experts = ExpertsShape(
            count,
            _int(row, "moe-router-topk", 2),
            _int(row, "moe-ffn-hidden-size", ffn),
            _int(row, "moe-shared-expert-intermediate-size", 0),
            _dense_layers(row),
        )
    return ModelShape(
        layers=_int(row, "num-layers"),
        hidden_size=hidden,
        ffn_hidden_size=ffn,
        attention_heads=heads,
        query_groups=_int(row, "num-query-groups", 1) if grouped else heads,
        head_dim=_int(row, "kv-channels", hidden // heads),
        padded_vocabulary_size=padded_vocabulary_size(_vocabulary(row), divisor * tensor),
        is_tied=not _flag(row, "untie-embeddings-and-output-weights"),
        experts=experts,
        is_gated=gated,
        has_biases=not _flag(row, "disable-bias-linear"),
        learned_positions=0 if rope else _int(row, "seq-length"),
        has_query_norm=_flag(row, "qk-layernorm"),
        hidden_dropout=float(row.get("hidden-dropout") or 0.1) > 0,
        attention_dropout=float(row.get("attention-dropout") or 0.1) > 0,
    )


def _dense_layers(row: Row) -> int:
    pattern = row.get("moe-layer-freq") or ""
    if pattern in ("", "1"):
        return 0
    # A Python expression such as ([0]*3+[1]*58): the dense layers are the leading zeros.
    if pattern.startswith("([0]*") and "+[1]*" in pattern:
        return int(pattern.removeprefix("([0]*").split("+", 1)[0])
    raise Unscorable(f"moe-layer-freq {pattern!r} is not modelled")


def _layout(row: Row, model: ModelShape, tensor: int, pipeline: int) -> Layout:
    context = _int(row, "context-parallel-size", 1)
    expert = _int(row, "expert-model-parallel-size", 1)
    expert_tensor = _int(row, "expert-tensor-parallel-size", tensor)
    unit = math.lcm(tensor * pipeline * context, expert * expert_tensor * pipeline)
    known = row.get("world_size_candidates") or "8"
    candidate = int(known.split("|")[0].split(";")[0].split(" ")[0])
    world_size = -(-candidate // unit) * unit
    stages, virtual = _stages(row, model.layers, pipeline)
    return Layout(
        world_size,
        stages,
        tensor,
        virtual,
        context,
        expert if model.experts else 1,
        expert_tensor if model.experts else 1,
        _flag(row, "sequence-parallel") and tensor > 1,
        _flag(row, "use-distributed-optimizer"),
        _int(row, "num-distributed-optimizer-instances", 1),
    )


def _stages(row: Row, layers: int, pipeline: int) -> tuple[tuple[int, ...], int]:
    if row.get("pipeline-model-parallel-layout"):
        raise Unscorable("pipeline-model-parallel-layout is not parsed")
    ends = {
        0: _int(row, "decoder-first-pipeline-num-layers", 0),
        pipeline - 1: _int(row, "decoder-last-pipeline-num-layers", 0),
    }
    given = {rank: count for rank, count in ends.items() if count and pipeline > 1}
    counted = layers
    for column, rank in (
        ("account-for-embedding-in-pipeline-split", 0),
        ("account-for-loss-in-pipeline-split", pipeline - 1),
    ):
        if _flag(row, column):
            counted += 1
            given[rank] = given.get(rank, 0) - 1
    each = counted // pipeline
    if any(value > 0 for value in given.values()):
        rest = layers - sum(given.values())
        each = rest // max(1, pipeline - len(given))
    stages = [
        each + given[r] if given.get(r, 0) < 0 else given.get(r) or each for r in range(pipeline)
    ]
    if sum(stages) != layers:
        raise Unscorable(f"{layers} layers do not divide over {pipeline} stages")
    per_chunk = _int(row, "num-layers-per-virtual-pipeline-stage", 0)
    virtual = _int(row, "num-virtual-stages-per-pipeline-rank", 0) or (
        each // per_chunk if per_chunk else 1
    )
    return tuple(stages), max(1, virtual)


def _step(row: Row) -> StepShape:
    schedule = row.get("step-batch-size-schedule") or ""
    first = schedule.split(" ")[0].split(":")[-1]
    batch = row.get("global-batch-size") or first
    if not batch:
        raise Unscorable("global-batch-size was not recorded")
    backend = row.get("attention-backend") or "auto"
    local = row.get("transformer-impl") == "local"
    # `auto` takes the unfused kernel in some builds of the older image; which, is not recorded.
    # The larger of the two is the honest estimate.
    unfused = backend == "unfused" or local or (backend == "auto" and row.get("env") == "lts")
    drops = float(row.get("attention-dropout") or 0.1) > 0
    fp8 = bool(row.get("fp8-format"))
    return StepShape(
        micro_batch_size=_int(row, "micro-batch-size", 1),
        global_batch_size=int(batch),
        seq_length=_int(row, "seq-length"),
        recompute="full" if row.get("recompute-granularity") == "full" else "none",
        precision="fp8" if fp8 else _precision(row),
        has_fused_softmax=not local,
        has_fused_attention=not unfused or (backend == "auto" and not local and not drops),
        has_upstream_kernels=True,
    )


def _precision(row: Row) -> str:
    if _flag(row, "bf16"):
        return "bf16"
    return "fp16" if _flag(row, "fp16") else "fp32"


def _pipeline(row: Row) -> int:
    return _int(row, "pipeline-model-parallel-size", 1)


def _vocabulary(row: Row) -> int:
    if row.get("vocab-size"):
        return int(row["vocab-size"])
    name = row.get("tokenizer-model") or ""
    if name in _VOCABULARIES:
        return _VOCABULARIES[name]
    if row.get("vocab-file"):
        return 50_257
    return _VOCABULARIES.get(row.get("tokenizer-type") or "", 131_072)


def _int(row: Row, column: str, default: int | None = None) -> int:
    text = row.get(column) or ""
    if text in ("", "None"):
        if default is None:
            raise Unscorable(f"{column} was not recorded")
        return default
    return int(float(text))


def _flag(row: Row, column: str) -> bool:
    return row.get(column) == "True"
