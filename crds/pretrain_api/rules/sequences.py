"""Rules about sequences: sequence and context parallelism, fp8 alignment, the long phase."""

from pretrain_api.formulas.divisibility import FP8_MULTIPLE
from pretrain_api.rules.expressions import (
    CONTEXT,
    FFN,
    GLOBAL_BATCH,
    GROUPS,
    HEAD_DIM,
    HEADS,
    HIDDEN,
    MICRO_BATCH,
    SEQUENCE,
    SEQUENCE_PARALLEL,
    TENSOR,
    field,
    given,
    given_value,
    multiples,
    present,
)
from pretrain_api.rules.rule import Rule

_LONG = "training.longContext"
_LONG_SEQUENCE = field(f"{_LONG}.sequenceLength", "0")
_LONG_TOKENS = field(f"{_LONG}.tokens", "0")
_LONG_BATCH = field(f"{_LONG}.globalBatchSize", GLOBAL_BATCH)
_SPLIT = f"({SEQUENCE_PARALLEL} ? {TENSOR} : 1)"
_UNIT = f"({CONTEXT} > 1 ? 2 * {CONTEXT} : 1)"
_ZIGZAG = "Megatron-LM core_v0.19.0 megatron/training/arguments.py:1297"
_SCATTER = "Megatron-LM core_v0.19.0 megatron/core/tensor_parallel/mappings.py:74"
_TOKENS_OF_RANK = f"({SEQUENCE} * {MICRO_BATCH} / ({CONTEXT} * {_SPLIT}))"
_IS_FP8 = f"({field('training.precision')} == 'fp8')"
_WEIGHTS = (
    f"[{HIDDEN}, {FFN} / {TENSOR}, {HEADS} * {HEAD_DIM} / {TENSOR},"
    f" ({HEADS} + 2 * {GROUPS}) * {HEAD_DIM} / {TENSOR}]"
)
_FP8_SIZES = f"w.all(x, x % {FP8_MULTIPLE} == 0)"

SEQUENCE_RULES = (
    Rule(
        "sequence-tensor",
        "parallelism.sequence",
        f"!{SEQUENCE_PARALLEL} || {TENSOR} > 1",
        "splits along the sequence what parallelism.tensor shares, and tensor is %d; leave sequence"
        " out, or raise tensor",
        (TENSOR,),
        source="Megatron-LM core_v0.19.0 megatron/core/model_parallel_config.py:504",
        otherwise="Megatron-core raises; Megatron-LM's script silently turns it off",
    ),
    Rule(
        "sequence-split",
        "training.sequenceLength",
        f"!{SEQUENCE_PARALLEL} || {SEQUENCE} % ({TENSOR} * {CONTEXT}) == 0",
        "%d is not divisible by tensor · context = %d, over which sequence parallelism splits it;"
        " use %s",
        (
            SEQUENCE,
            f"{TENSOR} * {CONTEXT}",
            given_value("m", f"{TENSOR} * {CONTEXT}", multiples(SEQUENCE, "m")),
        ),
        source=_SCATTER,
        otherwise="an assertion in the first forward pass",
    ),
    Rule(
        "context-split",
        "training.sequenceLength",
        f"{SEQUENCE} % {_UNIT} == 0",
        "%d is not divisible by 2 · parallelism.context = %d; use %s",
        (SEQUENCE, _UNIT, given_value("m", _UNIT, multiples(SEQUENCE, "m"))),
        source=_ZIGZAG,
        otherwise="an assertion at start, in every process",
        stricter="Megatron-core's configuration takes it; the first batch cannot be cut",
    ),
    Rule(
        "long-context-longer",
        f"{_LONG}.sequenceLength",
        f"!({present(_LONG)}) || {_LONG_SEQUENCE} > {SEQUENCE}",
        "%d is not longer than training.sequenceLength = %d",
        (_LONG_SEQUENCE, SEQUENCE),
        source="our own: the phase would change nothing",
        otherwise="a phase that trains on the same length again",
        stricter="upstream has no phases",
    ),
    Rule(
        "long-context-split",
        f"{_LONG}.sequenceLength",
        f"!({present(_LONG)}) || ({_LONG_SEQUENCE} % {_UNIT} == 0 &&"
        f" (!{SEQUENCE_PARALLEL} || {_LONG_SEQUENCE} % ({TENSOR} * {CONTEXT}) == 0))",
        "%d is to be divisible by 2 · context = %d and, with sequence parallelism, by tensor ·"
        " context = %d",
        (_LONG_SEQUENCE, _UNIT, f"{TENSOR} * {CONTEXT}"),
        source=f"{_ZIGZAG}; {_SCATTER}",
        otherwise="the run stops where the phase begins",
        stricter="upstream has no phases: it would be a second run that fails at its start",
    ),
    Rule(
        "long-context-step",
        f"{_LONG}.tokens",
        f"!({present(_LONG)}) || {_LONG_TOKENS} >= {_LONG_BATCH} * {_LONG_SEQUENCE}",
        "%d is less than one optimizer step of the phase, %d tokens",
        (_LONG_TOKENS, f"{_LONG_BATCH} * {_LONG_SEQUENCE}"),
        source="our trainer rounds down to whole steps",
        otherwise="a phase of zero steps",
        stricter="upstream has no phases",
    ),
    Rule(
        "fp8-tokens",
        "training.precision",
        f"!{_IS_FP8} || {_TOKENS_OF_RANK} % {FP8_MULTIPLE} == 0",
        f"fp8 needs a multiple of {FP8_MULTIPLE} tokens on a rank, and sequenceLength ·"
        " microBatchSize / (context · tensor where sequence) = %d; change sequenceLength or"
        " microBatchSize",
        (_TOKENS_OF_RANK,),
        source="Megatron-LM core_v0.19.0 megatron/core/fp8_utils.py:318",
        otherwise="Transformer Engine asserts at the first matrix product",
        stricter="Megatron-core's configuration takes it; the first matrix product fails",
    ),
    Rule(
        "fp8-weights",
        "training.precision",
        f"!{_IS_FP8} || {HEADS} == 0 || {given('w', _WEIGHTS, _FP8_SIZES)}",
        f"fp8 needs multiples of {FP8_MULTIPLE} in every weight; hiddenSize and the shares of"
        " feed-forward, attention output and queries-keys-values of a device are %s",
        (_WEIGHTS,),
        source="Megatron-LM core_v0.19.0 megatron/core/fp8_utils.py:318",
        otherwise="Transformer Engine asserts at the first matrix product",
        stricter="Megatron-core's configuration takes it; the first matrix product fails",
    ),
)
