"""What the API and the planner support, but our trainer does not yet.

Delete a line here when the trainer supports the feature; nothing else has to change.
"""

from pretrain_api.rules.expressions import GROUPS, TENSOR, field, given, present
from pretrain_api.rules.rule import Rule, Severity


def _absent(id_: str, path: str, message: str) -> Rule:
    return Rule(id_, path, f"!({present(path)})", message, severity=Severity.NOT_YET)


NOT_YET_RULES = (
    _absent("not-yet-experts", "model.experts", "the trainer builds dense models only, for now"),
    Rule(
        "not-yet-bias-and-norm",
        "model.qkvBias",
        f"!({field('model.qkvBias')} && {field('model.qkNorm')})",
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
        "not-yet-batch-schedule",
        "training.batchSchedule",
        "the trainer keeps one batch size, for now; leave batchSchedule out",
    ),
    _absent(
        "not-yet-long-context",
        "training.longContext",
        "the trainer has one phase, for now; leave longContext out",
    ),
    *(
        _absent(
            f"not-yet-{name.lower()}",
            f"parallelism.{name}",
            "the trainer cuts the layers evenly, for now; leave it out",
        )
        for name in (
            "firstStageLayers",
            "lastStageLayers",
            "countEmbedding",
            "countLoss",
            "stageLayers",
        )
    ),
)
