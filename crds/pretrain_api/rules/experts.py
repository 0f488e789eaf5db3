"""Rules about mixture-of-experts models and the expert-parallel grid."""

from pretrain_api.rules.expressions import (
    EXPERT,
    EXPERT_TENSOR,
    HAS_EXPERTS,
    HAS_WORLD,
    LAYERS,
    PIPELINE,
    SEQUENCE_PARALLEL,
    TENSOR,
    WORLD,
    divisors,
    expert,
    field,
    given,
    given_value,
    multiples,
    present,
)
from pretrain_api.rules.rule import Rule, Severity

_MEGATRON = "Megatron-LM core_v0.19.0 megatron/"
_LATE = "an assertion when the model is built, after the wait for GPUs"
_MOE = "model.experts"
_HAS = HAS_EXPERTS
_COUNT = expert("count", "1")
_TOP = expert("topK", "2")
_WIDTH = expert("ffnHiddenSize", "1")
_SHARED = f"{_MOE}.sharedFfnHiddenSize"
_GROUPS = f"{_MOE}.groups"
_GROUP_TOP = f"{_MOE}.groupTopK"
_EXPERT_RANKS = f"({EXPERT_TENSOR} * {EXPERT} * {PIPELINE})"
_HAS_GROUPS = f"({present(_GROUPS)} && {present(_GROUP_TOP)})"

EXPERT_RULES = (
    Rule(
        "expert-model",
        "parallelism.expert",
        f"{_HAS} || ({EXPERT} == 1 && !({present('parallelism.expertTensor')}))",
        "the model has no experts; leave expert and expertTensor out, or give model.experts",
        source=_MEGATRON + "core/transformer/transformer_config.py, expert_model_parallel_size",
        otherwise="an assertion in every pod",
        stricter="Megatron-core takes expertTensor without experts, where it does nothing",
    ),
    Rule(
        "expert-split",
        "parallelism.expert",
        f"!({_HAS}) || {_COUNT} % {EXPERT} == 0",
        "%d does not divide model.experts.count = %d; use %s",
        (EXPERT, _COUNT, divisors(_COUNT)),
        source=_MEGATRON + "core/transformer/moe/moe_layer.py:185",
        otherwise=_LATE,
    ),
    Rule(
        "expert-grid",
        "parallelism.expert",
        f"!({_HAS}) || !({HAS_WORLD}) || {WORLD} % {_EXPERT_RANKS} == 0",
        "expertTensor · expert · pipeline = %d does not divide nodes · gpusPerNode = %d (context is"
        " no factor of the expert grid); use %s devices, or smaller degrees",
        (_EXPERT_RANKS, WORLD, given_value("m", _EXPERT_RANKS, multiples(WORLD, "m"))),
        source=_MEGATRON + "core/parallel_state.py:883",
        otherwise="an exception when the process groups are made; Megatron-core's default"
        " expertTensor = tensor makes it worse",
    ),
    Rule(
        "expert-top",
        f"{_MOE}.topK",
        f"!({_HAS}) || {_TOP} <= {_COUNT}",
        "%d is more than model.experts.count = %d",
        (_TOP, _COUNT),
        source=_MEGATRON + "core/transformer/moe/moe_utils.py, topk of the router",
        otherwise="an index error in the first forward pass",
        stricter="Megatron-core's configuration takes it; the first forward pass fails",
    ),
    Rule(
        "expert-ffn",
        f"{_MOE}.ffnHiddenSize",
        f"!({_HAS}) || {_WIDTH} % {EXPERT_TENSOR} == 0",
        "%d is not divisible by parallelism.expertTensor = %d; use %s",
        (_WIDTH, EXPERT_TENSOR, multiples(_WIDTH, EXPERT_TENSOR)),
        source=_MEGATRON + "core/tensor_parallel/layers.py:965,1328",
        otherwise=_LATE,
    ),
    Rule(
        "expert-shared",
        _SHARED,
        f"!({_HAS}) || {field(_SHARED, '0')} % {TENSOR} == 0",
        "%d is not divisible by parallelism.tensor = %d; use %s",
        (field(_SHARED, "0"), TENSOR, multiples(field(_SHARED, "0"), TENSOR)),
        source=_MEGATRON + "core/tensor_parallel/layers.py:965",
        otherwise=_LATE,
    ),
    Rule(
        "expert-sequence",
        "parallelism.sequence",
        f"!({_HAS}) || {TENSOR} == 1 || {SEQUENCE_PARALLEL}",
        "experts with parallelism.tensor = %d need sequence: true",
        (TENSOR,),
        source=_MEGATRON + "core/transformer/moe/moe_layer.py:632",
        otherwise="a warning at start, and a ValueError in the first forward pass",
        stricter="Megatron-core's configuration only warns; the first forward pass fails",
    ),
    Rule(
        "expert-dense",
        f"{_MOE}.denseLayers",
        f"!({_HAS}) || {given('n', LAYERS, f'n == 0 || {field(_MOE + ".denseLayers")} < n')}",
        "%d leaves none of the %d layers with experts; leave model.experts out, or lower it",
        (field(f"{_MOE}.denseLayers"), LAYERS),
        source="our own: the experts would not exist",
        otherwise="a dense model with an unused router configuration",
        stricter="upstream takes it and builds a dense model",
    ),
    Rule(
        "expert-groups-pair",
        _GROUPS,
        f"!({_HAS}) || ({present(_GROUPS)}) == ({present(_GROUP_TOP)})",
        "groups and groupTopK go together; give both or neither",
        source=_MEGATRON + "core/transformer/transformer_config.py:2350",
        otherwise="an exception at start",
        stricter="Megatron-core takes groups alone, and routes as if there were none",
    ),
    Rule(
        "expert-groups",
        _GROUPS,
        f"!{_HAS_GROUPS} || ({_COUNT} % {field(_GROUPS, '1')} == 0 &&"
        f" {field(_GROUP_TOP, '1')} <= {field(_GROUPS, '1')})",
        "%d groups are to divide model.experts.count = %d, and groupTopK = %d may not exceed them",
        (field(_GROUPS, "1"), _COUNT, field(_GROUP_TOP, "1")),
        source=_MEGATRON + "core/transformer/transformer_config.py:2350",
        otherwise="an assertion at start",
    ),
    Rule(
        "expert-groups-top",
        _GROUP_TOP,
        f"!{_HAS_GROUPS} || {_COUNT} % {field(_GROUPS, '1')} != 0 ||"
        f" {_TOP} <= {field(_GROUP_TOP, '1')} * ({_COUNT} / {field(_GROUPS, '1')})",
        "%d groups hold fewer experts than topK = %d",
        (field(_GROUP_TOP, "1"), _TOP),
        source=_MEGATRON + "core/transformer/moe/moe_utils.py, group-limited topk",
        otherwise="a token is sent to experts outside its groups, silently",
        stricter="Megatron-core's configuration takes it",
    ),
    Rule(
        "expert-grid-world",
        "parallelism.expertTensor",
        f"!({_HAS}) || {EXPERT_TENSOR} <= {TENSOR}",
        "%d is more than parallelism.tensor = %d: experts are then cut finer than the rest, which"
        " only adds communication",
        (EXPERT_TENSOR, TENSOR),
        severity=Severity.WARNING,
        source=_MEGATRON + "core/model_parallel_config.py:507",
        otherwise="silently slower experts",
    ),
)
