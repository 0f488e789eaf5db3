"""Every rule, by kind."""

from pretrain_api.rules.batches import BATCH_RULES
from pretrain_api.rules.changes import CHANGE_RULES
from pretrain_api.rules.data_kinds import (
    DATASET_RULES,
    PIPELINE_RULES,
    PROFILE_RULES,
    STORAGE_RULES,
    TOKENIZER_RULES,
)
from pretrain_api.rules.experts import EXPERT_RULES
from pretrain_api.rules.not_yet import NOT_YET_RULES
from pretrain_api.rules.rule import Rule, Severity
from pretrain_api.rules.schedules import SAVING_RULES, SCHEDULE_RULES
from pretrain_api.rules.sequences import SEQUENCE_RULES
from pretrain_api.rules.shapes import SHAPE_RULES
from pretrain_api.rules.stages import STAGE_RULES

RULES: dict[str, tuple[Rule, ...]] = {
    "ComputeProfile": PROFILE_RULES,
    "DataPipeline": PIPELINE_RULES,
    "Tokenizer": TOKENIZER_RULES,
    "TokenDataset": DATASET_RULES,
    "PretrainJob": (
        *SHAPE_RULES,
        *STAGE_RULES,
        *BATCH_RULES,
        *SEQUENCE_RULES,
        *EXPERT_RULES,
        *SCHEDULE_RULES,
        *SAVING_RULES,
        *STORAGE_RULES,
        *NOT_YET_RULES,
        *CHANGE_RULES,
    ),
}


def enforced(kind: str) -> tuple[Rule, ...]:
    """Return the rules of `kind` that the API server checks: errors, not advice."""
    return tuple(rule for rule in RULES[kind] if rule.severity is Severity.ERROR)
