"""Rules about cutting the layers into pipeline stages."""

from pretrain_api.rules.expressions import (
    LAYERS,
    PIPELINE,
    VIRTUAL,
    divisors,
    field,
    given,
    given_value,
    present,
)
from pretrain_api.rules.rule import Rule, Severity

_CONFIG = "Megatron-LM core_v0.19.0 megatron/core/transformer/transformer_config.py"
_ARGUMENTS = "Megatron-LM core_v0.19.0 megatron/training/arguments.py"
_LATE = "an assertion when the model is built, after the wait for GPUs"
_STRICTER = (
    "the model class we build on takes any cut; a lopsided pipeline is a silent waste, so the"
    " manifest has to say how it is uneven"
)

_FIRST = "parallelism.firstStageLayers"
_LAST = "parallelism.lastStageLayers"
_LIST = "parallelism.stageLayers"
_COUNT_EMBEDDING = field("parallelism.countEmbedding")
_COUNT_LOSS = field("parallelism.countLoss")
_COUNTED = f"({LAYERS} + ({_COUNT_EMBEDDING} ? 1 : 0) + ({_COUNT_LOSS} ? 1 : 0))"
_HAS_ENDS = f"({present(_FIRST)} || {present(_LAST)})"
_IS_EVEN = f"!{_HAS_ENDS} && !({present(_LIST)})"
_ENDS = f"({field(_FIRST, '0')} + {field(_LAST, '0')})"
_MIDDLE_STAGES = f"({PIPELINE} - ({present(_FIRST)} ? 1 : 0) - ({present(_LAST)} ? 1 : 0))"
_MIDDLE_LAYERS = f"({LAYERS} - {_ENDS})"
_HOW = "say how the stages are uneven: countEmbedding, countLoss, firstStageLayers,"

STAGE_RULES = (
    Rule(
        "layers-pipeline",
        "parallelism.pipeline",
        f"!({_IS_EVEN}) || {_COUNTED} % {PIPELINE} == 0",
        "%d stages do not divide %d layers (with what counts as one); use pipeline %s, or "
        + _HOW
        + " lastStageLayers or stageLayers",
        (PIPELINE, _COUNTED, given_value("n", _COUNTED, divisors("n"))),
        source=_ARGUMENTS + ":964",
        otherwise="an assertion in every pod; older trees dropped the rest of the layers silently"
        " (Megatron-LM#468, #1304)",
        stricter=_STRICTER,
    ),
    Rule(
        "layers-virtual",
        "parallelism.virtualPipeline",
        f"!({_IS_EVEN}) || {_COUNTED} % {PIPELINE} != 0"
        f" || ({_COUNTED} / {PIPELINE}) % {VIRTUAL} == 0",
        "%d chunks do not divide the %d layers of a pipeline rank; use virtualPipeline %s",
        (
            VIRTUAL,
            f"{_COUNTED} / {PIPELINE}",
            given_value("n", f"{_COUNTED} / {PIPELINE}", divisors("n")),
        ),
        source=_ARGUMENTS + ":939",
        otherwise=_LATE,
        stricter=_STRICTER,
    ),
    Rule(
        "virtual-pipeline",
        "parallelism.virtualPipeline",
        f"{VIRTUAL} == 1 || {PIPELINE} > 1",
        "%d chunks need a pipeline of at least 2 ranks; leave virtualPipeline out, or raise"
        " parallelism.pipeline from %d",
        (VIRTUAL, PIPELINE),
        source="Megatron-LM core_v0.19.0 megatron/core/parallel_state.py:830",
        otherwise="an exception when the process groups are made",
    ),
    Rule(
        "ends-exclusive",
        "parallelism.firstStageLayers",
        f"!{_HAS_ENDS} || (!{_COUNT_EMBEDDING} && !{_COUNT_LOSS})",
        "firstStageLayers and lastStageLayers exclude countEmbedding and countLoss; keep one way",
        source=_CONFIG + ":1930",
        otherwise=_LATE,
    ),
    Rule(
        "ends-pipeline",
        "parallelism.firstStageLayers",
        f"!{_HAS_ENDS} || {PIPELINE} > 1",
        "there is one stage only, which holds all layers; leave firstStageLayers and"
        " lastStageLayers out",
        source=_CONFIG + ":2037",
        otherwise="older trees silently trained a model of one layer (Megatron-LM#1778)",
        stricter="with both ends given Megatron-core takes it, and builds the first stage only",
    ),
    Rule(
        "ends-chunks",
        "parallelism.firstStageLayers",
        f"{field(_FIRST, '0')} % {VIRTUAL} == 0 && {field(_LAST, '0')} % {VIRTUAL} == 0",
        "first and last stage have %d and %d layers, which %d chunks do not divide; use multiples"
        " of the chunks",
        (field(_FIRST, "0"), field(_LAST, "0"), VIRTUAL),
        source=_CONFIG + ":2007,2026",
        otherwise=_LATE,
    ),
    Rule(
        "ends-middle",
        "parallelism.firstStageLayers",
        f"!{_HAS_ENDS} || {PIPELINE} == 1 || ({_MIDDLE_STAGES} == 0 ? {_MIDDLE_LAYERS} == 0"
        f" : {_MIDDLE_LAYERS} > 0 && {_MIDDLE_LAYERS} % ({_MIDDLE_STAGES} * {VIRTUAL}) == 0)",
        "leaves %d layers for %d middle stages of %d chunks, which do not share them evenly",
        (_MIDDLE_LAYERS, _MIDDLE_STAGES, VIRTUAL),
        source=_CONFIG + ":2037,2042,2059",
        otherwise=_LATE,
    ),
    Rule(
        "stage-list-exclusive",
        _LIST,
        f"!({present(_LIST)}) || (!{_HAS_ENDS} && !{_COUNT_EMBEDDING} && !{_COUNT_LOSS})",
        "says the whole cut; leave firstStageLayers, lastStageLayers, countEmbedding and countLoss"
        " out",
        source=_CONFIG + ":1947",
        otherwise=_LATE,
    ),
    Rule(
        "stage-list-length",
        _LIST,
        f"!({present(_LIST)}) || size(self.{_LIST}) == {PIPELINE} * {VIRTUAL}",
        "has %d numbers for pipeline · virtualPipeline = %d stages; give one number for each",
        (f"size(self.{_LIST})", f"{PIPELINE} * {VIRTUAL}"),
        source="Megatron-LM core_v0.19.0"
        " megatron/core/transformer/pipeline_parallel_layer_layout.py:41",
        otherwise=_LATE,
    ),
    Rule(
        "stage-list-sum",
        _LIST,
        f"!({present(_LIST)}) || {given('n', LAYERS, f'n == 0 || self.{_LIST}.sum() == n')}",
        "adds up to %d layers, but the model has %d",
        (f"self.{_LIST}.sum()", LAYERS),
        source="Megatron-LM core_v0.19.0"
        " megatron/core/transformer/pipeline_parallel_layer_layout.py:96",
        otherwise=_LATE,
    ),
    Rule(
        "lopsided-pipeline",
        "parallelism.stageLayers",
        f"!({present(_LIST)}) || {LAYERS} == 0 ||"
        f" self.{_LIST}.all(x, x * {PIPELINE} * {VIRTUAL} <= 2 * {LAYERS})",
        "one stage has more than twice its even share of %d layers; all others wait for it",
        (LAYERS,),
        severity=Severity.WARNING,
        source="pipeline arithmetic: the slowest stage sets the pace",
        otherwise="GPUs idle silently",
    ),
)
