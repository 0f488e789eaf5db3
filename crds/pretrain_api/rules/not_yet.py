"""What the API and the planner support, but our trainer does not yet.

Delete a line here when the trainer supports the feature; nothing else has to change. Mixtures of
experts are those of Mixtral, Qwen3-MoE and GLM-4.5: an exported model is one that others can load.
"""

from pretrain_api.rules.expressions import (
    GROUPS,
    HAS_EXPERTS,
    LAYERS,
    PIPELINE,
    TENSOR,
    VIRTUAL,
    expert,
    field,
    given,
    present,
    shape,
)
from pretrain_api.rules.rule import Rule, Severity


def _absent(id_: str, path: str, message: str) -> Rule:
    return Rule(id_, path, f"!({present(path)})", message, severity=Severity.NOT_YET)


_MOE = "model.experts"
_IS_SOFTMAX = f"({field(_MOE + '.router')} == 'softmax')"
_SHARED = f"{_MOE}.sharedFfnHiddenSize"
_WIDTH = expert("ffnHiddenSize", "1")
_DENSE = field(f"{_MOE}.denseLayers")
_GROUPS = f"{_MOE}.groups"
_TOP, _GROUP_TOP = expert("topK", "2"), field(f"{_MOE}.groupTopK", "1")
_FIRST, _LIST = "parallelism.firstStageLayers", "parallelism.stageLayers"
_COUNTED = f"({field('parallelism.countEmbedding')} ? 1 : 0)"
_FIRST_RANK_END = (  # of its last chunk, of which an uneven cut is only known without chunks
    f"({VIRTUAL} > 1 ? (({VIRTUAL} - 1) * {PIPELINE} + 1) * n / ({VIRTUAL} * {PIPELINE}) :"
    f" {present(_LIST)} && size(self.{_LIST}) > 0 ? self.{_LIST}[0] :"
    f" {present(_FIRST)} ? self.{_FIRST} : (n + {_COUNTED}) / {PIPELINE} - {_COUNTED})"
)
_QK_NORM, _QKV_BIAS = shape("qkNorm"), shape("qkvBias")


def _with_experts(holds: str) -> str:
    return f"!{HAS_EXPERTS} || {holds}"


_EXPERT_RULES = (
    Rule(
        "not-yet-expert-top",
        f"{_MOE}.topK",
        _with_experts(f"{_TOP} > 1"),
        "the trainer sends each token to two experts or more, for now",
        severity=Severity.NOT_YET,
    ),
    Rule(
        "not-yet-expert-softmax",
        f"{_MOE}.router",
        _with_experts(
            f"!({_IS_SOFTMAX}) || (!({present(_SHARED)}) && !({present(_GROUPS)}) &&"
            f" {field(_MOE + '.scalingFactor')} == 1.0)"
        ),
        "no exported model has a softmax router beside a shared expert, groups or a scalingFactor,"
        " for now; use router: sigmoid, or leave them out",
        severity=Severity.NOT_YET,
    ),
    Rule(
        "not-yet-expert-dense",
        f"{_MOE}.denseLayers",
        _with_experts(f"!({_IS_SOFTMAX}) || {_DENSE} == 0 || {_QK_NORM}"),
        "no exported model has dense layers beside a softmax router without qkNorm, for now; use"
        " qkNorm: true, or router: sigmoid",
        severity=Severity.NOT_YET,
    ),
    Rule(
        "not-yet-expert-bias",
        "model.qkvBias",
        _with_experts(f"!({_IS_SOFTMAX}) || !{_QKV_BIAS}"),
        "no exported model has a bias beside a softmax router, for now; leave it out, or use"
        " router: sigmoid",
        severity=Severity.NOT_YET,
    ),
    Rule(
        "not-yet-expert-shared",
        _SHARED,
        _with_experts(
            f"{_IS_SOFTMAX} || ({present(_SHARED)} && {field(_SHARED, '0')} % {_WIDTH} == 0)"
        ),
        "a sigmoid router needs a shared expert, as wide as one expert or a multiple of it, for"
        " now; use %d",
        (_WIDTH,),
        severity=Severity.NOT_YET,
    ),
    Rule(
        "not-yet-expert-groups",
        _GROUPS,
        _with_experts(f"!({present(_GROUPS)}) || {_TOP} == 2 * {_GROUP_TOP}"),
        "groups are judged by their best two experts, so topK = %d is to be twice groupTopK = %d,"
        " for now",
        (_TOP, _GROUP_TOP),
        severity=Severity.NOT_YET,
    ),
    Rule(
        "not-yet-expert-stage",
        f"{_MOE}.denseLayers",
        _with_experts(given("n", LAYERS, f"n <= {_DENSE} || {_DENSE} < {_FIRST_RANK_END}")),
        "%d leaves the first pipeline stage without experts, which the trainer cannot save, for"
        " now; use fewer stages or fewer dense layers",
        (_DENSE,),
        severity=Severity.NOT_YET,
    ),
)

NOT_YET_RULES = (
    *_EXPERT_RULES,
    Rule(
        "not-yet-bias-and-norm",
        "model.qkvBias",
        f"{HAS_EXPERTS} || !({_QKV_BIAS} && {_QK_NORM})",
        "no exported model has a bias beside qkNorm, for now; leave one of them out",
        severity=Severity.NOT_YET,
    ),
    Rule(
        "not-yet-groups",
        "model.queryGroups",
        given("g", GROUPS, f"g == 0 || g % {TENSOR} == 0"),
        "%d is less than parallelism.tensor = %d, and the trainer's attention does not copy"
        " key-value heads, for now; use a smaller tensor size",
        (GROUPS, TENSOR),
        severity=Severity.NOT_YET,
    ),
    Rule(
        "not-yet-fp8",
        "training.precision",
        f"{field('training.precision')} != 'fp8'",
        "the trainer computes in bf16 or fp32 only, for now",
        severity=Severity.NOT_YET,
    ),
    _absent(
        "not-yet-long-context",
        "training.longContext",
        "the trainer has one phase, for now; leave longContext out",
    ),
)
