"""Rules about the grid of devices and about dividing batches over it."""

from pretrain_api.rules.expressions import (
    DATA_PARALLEL,
    GLOBAL_BATCH,
    HAS_WORLD,
    IS_GRID,
    MICRO_BATCH,
    MODEL_RANKS,
    PIPELINE,
    SEQUENCE,
    TENSOR,
    TOKENS,
    VIRTUAL,
    WORLD,
    degree,
    each,
    field,
    given_value,
    multiples,
    present,
)
from pretrain_api.rules.rule import Rule, Severity

_CALCULATOR = "Megatron-LM core_v0.19.0 megatron/core/num_microbatches_calculator.py:382"
_SCHEDULES = "Megatron-LM core_v0.19.0 megatron/core/pipeline_parallel/schedules.py:1138,1147"
_STEP = f"({MICRO_BATCH} * {DATA_PARALLEL})"
_STEPS = "training.batchSchedule"
_LONG = "training.longContext"
_LONG_BATCH = f"{_LONG}.globalBatchSize"
_FIRST_STEP_ONLY = "an assertion in the first training step, on all GPUs"
_STAGE_LATE = "an assertion when the stage begins, days into the run: upstream checks the"
_DIVISIBLE = "%d is not a multiple of dataParallel · microBatchSize = %d; use %s"
_GROUPED = "gives %d micro-batches, no multiple of parallelism.pipeline = %d, which an"


_LATER = f"{list(range(1, 16))}"
"""Indexes of all stages but the first: the schema allows 16."""


def _from(index: str) -> str:
    return f"quantity(string(self.{_STEPS}[{index}].fromTokens)).asInteger()"


def _divides(batch: str) -> str:
    return f"(!{IS_GRID} || {batch} % {_STEP} == 0)"


def _groups(batch: str) -> str:
    return (
        f"(!{IS_GRID} || {VIRTUAL} == 1 || {batch} % {_STEP} != 0"
        f" || ({batch} / {_STEP}) % {PIPELINE} == 0)"
    )


BATCH_RULES = (
    Rule(
        "world-grid",
        "parallelism.nodes",
        f"!({HAS_WORLD}) || {WORLD} % {MODEL_RANKS} == 0",
        "nodes · gpusPerNode = %d is not divisible by tensor · pipeline · context = %d; use %s"
        " devices, or smaller degrees",
        (WORLD, MODEL_RANKS, multiples(WORLD, MODEL_RANKS)),
        source="Megatron-LM core_v0.19.0 megatron/core/parallel_state.py:823",
        otherwise="every process raises as soon as it knows the world's size",
    ),
    Rule(
        "tensor-in-node",
        "parallelism.tensor",
        f"!({HAS_WORLD}) || {TENSOR} <= {degree('parallelism.gpusPerNode')}",
        "%d is more than gpusPerNode = %d: every layer then waits for the network between nodes;"
        " use pipeline or context instead",
        (TENSOR, degree("parallelism.gpusPerNode")),
        severity=Severity.WARNING,
        source="Megatron-LM core_v0.19.0 README.md:74",
        otherwise="the run is silently slower, by a quarter or more",
    ),
    Rule(
        "batch-grid",
        "training.globalBatchSize",
        _divides(GLOBAL_BATCH),
        _DIVISIBLE,
        (GLOBAL_BATCH, _STEP, given_value("m", _STEP, multiples(GLOBAL_BATCH, "m"))),
        source=_CALCULATOR,
        otherwise="an assertion at start, in every process",
    ),
    Rule(
        "batch-interleaved",
        "training.globalBatchSize",
        _groups(GLOBAL_BATCH),
        _GROUPED + " interleaved schedule needs; use %s",
        (
            f"{GLOBAL_BATCH} / {_STEP}",
            PIPELINE,
            given_value("m", f"({_STEP} * {PIPELINE})", multiples(GLOBAL_BATCH, "m")),
        ),
        source=_SCHEDULES,
        otherwise=_FIRST_STEP_ONLY,
        stricter="Megatron-core's configuration takes it; the first training step fails",
    ),
    Rule(
        "batch-schedule-grid",
        _STEPS,
        each(_STEPS, "b", _divides("b.globalBatchSize")),
        "the sizes %s are not all multiples of dataParallel · microBatchSize = %d",
        (f"self.{_STEPS}.map(b, b.globalBatchSize)", _STEP),
        source=_CALCULATOR,
        otherwise=_STAGE_LATE + " current size only",
        stricter="upstream's configuration takes the list; the stage fails when it begins",
    ),
    Rule(
        "batch-schedule-interleaved",
        _STEPS,
        each(_STEPS, "b", _groups("b.globalBatchSize")),
        "the sizes %s do not all give a multiple of parallelism.pipeline = %d micro-batches, which"
        " an interleaved schedule needs; use multiples of %d",
        (f"self.{_STEPS}.map(b, b.globalBatchSize)", PIPELINE, f"{_STEP} * {PIPELINE}"),
        source=_SCHEDULES,
        otherwise=_STAGE_LATE + " current size only",
        stricter="upstream's configuration takes the list; the stage fails when it begins",
    ),
    Rule(
        "batch-schedule-order",
        _STEPS,
        f"!({present(_STEPS)}) || ({_from('0')} > 0 && self.{_STEPS}.all(b,"
        f" quantity(string(b.fromTokens)).asInteger() < {TOKENS}) &&"
        f" {_LATER}.all(i, i >= size(self.{_STEPS}) || {_from('i')} > {_from('i - 1')}))",
        "every fromTokens is to be above the one before it (the first above 0) and below"
        " training.tokens = %d",
        (TOKENS,),
        source="Megatron-LM core_v0.19.0 megatron/training/arguments.py:682",
        otherwise="an assertion at start; the older rampup_batch_size is silently ignored in 0.19",
        stricter="Megatron-core's configuration takes the list; Megatron-LM's script does not",
    ),
    Rule(
        "long-context-batch",
        _LONG_BATCH,
        f"!({present(_LONG_BATCH)}) || {_divides(field(_LONG_BATCH, '0'))}",
        _DIVISIBLE,
        (
            field(_LONG_BATCH, "0"),
            _STEP,
            given_value("m", _STEP, multiples(field(_LONG_BATCH, "0"), "m")),
        ),
        source=_CALCULATOR,
        otherwise="the run stops where the phase begins",
        stricter="upstream has no phases: it would be a second run that fails at its start",
    ),
    Rule(
        "long-context-interleaved",
        _LONG_BATCH,
        f"!({present(_LONG_BATCH)}) || {_groups(field(_LONG_BATCH, '0'))}",
        _GROUPED + " interleaved schedule needs",
        (f"{field(_LONG_BATCH, '0')} / {_STEP}", PIPELINE),
        source=_SCHEDULES,
        otherwise="the run stops where the phase begins",
        stricter="upstream has no phases: it would be a second run that fails in its first step",
    ),
    Rule(
        "one-step",
        "training.tokens",
        f"{TOKENS} >= {GLOBAL_BATCH} * {SEQUENCE}",
        "%d is less than one optimizer step of globalBatchSize · sequenceLength = %d tokens",
        (TOKENS, f"{GLOBAL_BATCH} * {SEQUENCE}"),
        source="our trainer rounds down to whole steps",
        otherwise="a run of zero steps that ends as complete",
        stricter="upstream takes it and trains nothing",
    ),
)
