"""Rules about changing a PretrainJob: a run stays what it was when it started.

Only `suspend`, `training.tokens` (upwards), `training.schedule.decay.tokens`, `checkpoint.every`,
`checkpoint.keep`, `checkpoint.gracePeriod`, `recovery`, `evaluation` and `ttlAfterFinished` may
change.
"""

from pydantic import BaseModel

from pretrain_api.rules.expressions import field, present
from pretrain_api.rules.rule import Rule
from pretrain_api.v1alpha1.pretrainjob import CheckpointSpec, PretrainJobSpec
from pretrain_api.v1alpha1.training import Decay, ScheduleSpec, TrainingSpec

_MUTABLE = {
    "suspend",
    "training",
    "checkpoint",
    "recovery",
    "evaluation",
    "ttlAfterFinished",
    "training.tokens",
    "training.schedule",
    "training.schedule.decay",
    "training.schedule.decay.tokens",
    "checkpoint.every",
    "checkpoint.keep",
    "checkpoint.gracePeriod",
}


def _fields(model: type[BaseModel], prefix: str) -> list[tuple[str, bool]]:
    """Return path and whether it is always there, for each field that may not change."""
    named = [(f"{prefix}{f.alias}", f.is_required()) for f in model.model_fields.values()]
    return [(path, required) for path, required in named if path not in _MUTABLE]


def _immutable(path: str, required: bool) -> Rule:
    old = present(path, "oldSelf")
    holds = f"self.{path} == oldSelf.{path}"
    if not required:
        holds = f"{present(path)} ? ({old} && {holds}) : !({old})"
    return Rule(
        f"immutable-{path.replace('.', '-').lower()}",
        path,
        holds,
        "cannot change once the object exists; make a new PretrainJob (only suspend,"
        " training.tokens, training.schedule.decay.tokens, checkpoint.every, checkpoint.keep,"
        " checkpoint.gracePeriod, recovery, evaluation and ttlAfterFinished may change)",
        source="our own: a run records exactly what it consumed",
        otherwise="a resumed run that silently is another run",
        is_transition=True,
    )


_DECAY_END = "training.schedule.decay.tokens"
_SHAPE = field("training.schedule.decay.shape")


def _tokens(root: str) -> str:
    return f"quantity(string({root}.training.tokens)).asInteger()"


CHANGE_RULES = (
    *(
        _immutable(path, required)
        for model, prefix in (
            (PretrainJobSpec, ""),
            (TrainingSpec, "training."),
            (ScheduleSpec, "training.schedule."),
            (Decay, "training.schedule.decay."),
            (CheckpointSpec, "checkpoint."),
        )
        for path, required in _fields(model, prefix)
    ),
    Rule(
        "tokens-grow",
        "training.tokens",
        f"{_tokens('self')} >= {_tokens('oldSelf')}",
        "%d is less than before, %d; a run may grow, not shrink",
        (_tokens("self"), _tokens("oldSelf")),
        source="our own: steps that were done cannot be undone",
        otherwise="a schedule whose past changes, silently",
        is_transition=True,
    ),
    Rule(
        "tokens-grow-decay",
        "training.tokens",
        f"{_tokens('self')} <= {_tokens('oldSelf')} || {present(_DECAY_END)} ||"
        f" !({_SHAPE} in ['cosine', 'linear'])",
        "grows from %d to %d, and the end of the decay with it: the learning rate would jump; set"
        " schedule.decay.tokens too, to the old length: the rate keeps its minimum from there on",
        (_tokens("oldSelf"), _tokens("self")),
        source="our own: the rate is a function of the tokens and of the decay's end",
        otherwise="a spike of the loss when the run goes on, silently",
        is_transition=True,
    ),
)
