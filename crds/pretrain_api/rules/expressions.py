"""CEL text for the fields of a spec, with their defaults, and for the numbers derived from them.

The texts come from the pydantic models, so a default has one home. CEL has no variables in a CRD:
`given` binds a name to an expression by a macro over a list of one.
"""

from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pretrain_api.presets import MODEL_PRESETS
from pretrain_api.quantities import parse_quantity
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec

DIVISORS = (
    "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 16, 18, 20, 21, 24, 28, 30, 32, 35, 36, 40, 42,"
    " 48, 56, 60, 63, 64, 70, 72, 80, 84, 90, 96, 100, 105, 112, 120, 126, 128]"
)
"""Degrees that messages propose."""


_EXPERTS = {key: preset.experts for key, preset in MODEL_PRESETS.items() if preset.experts}


def present(path: str, root: str = "self") -> str:
    """Return CEL text that is true where the manifest has the field."""
    parts = path.split(".")
    return " && ".join(f"has({'.'.join([root, *parts[: end + 1]])})" for end in range(len(parts)))


def field(path: str, default: str | None = None, model: type[BaseModel] = PretrainJobSpec) -> str:
    """Return CEL text of a field's value, or of its default where the manifest has none.

    Raises:
        ValueError: If the field may be absent, and neither it nor the caller has a default.
    """
    info, is_always_there = _look_up(model, path)
    value = f"self.{path}"
    if _is_quantity(info):
        value = f"quantity(string({value})).asInteger()"
    if is_always_there:
        return value
    absent = default if default is not None else _literal(info.default)
    return f"({present(path)} ? {value} : {absent})"


def degree(path: str) -> str:
    """Return CEL text of a count that is safe to divide by: 1 if it is absent or not positive."""
    return f"({present(path)} && self.{path} > 0 ? self.{path} : 1)"


def shape(name: str) -> str:
    """Return CEL text of a field of the model's shape: the manifest's, the preset's, or 0."""
    values = {key: getattr(preset, _snake(name)) for key, preset in MODEL_PRESETS.items()}
    nothing = _literal(type(next(iter(values.values())))())
    return (
        f"(has(self.model.{name}) ? self.model.{name} :"
        f" has(self.model.preset) ? {_table(values)}[self.model.preset] : {nothing})"
    )


def expert(name: str, default: str) -> str:
    """Return CEL text of a field of the model's experts: the manifest's, the preset's, or
    `default`.
    """
    table = _table({key: getattr(experts, _snake(name)) for key, experts in _EXPERTS.items()})
    return (
        f"(has(self.model.experts) ? {field(f'model.experts.{name}', default)} :"
        f" has(self.model.preset) && self.model.preset in {table} ? {table}[self.model.preset] :"
        f" {default})"
    )


def given(name: str, value: str, body: str) -> str:
    """Return CEL text of the condition `body`, in which `name` stands for `value`."""
    return f"[{value}].all({name}, {body})"


def given_value(name: str, value: str, body: str) -> str:
    """Return CEL text of the value `body`, in which `name` stands for `value`."""
    return f"[{value}].map({name}, {body})[0]"


def each(path: str, name: str, body: str) -> str:
    """Return CEL text that `body` holds for every entry `name` of a list that may be absent."""
    return f"!({present(path)}) || self.{path}.all({name}, {body})"


def multiples(value: str, divisor: str) -> str:
    """Return CEL text of the multiples of `divisor` next to `value`, as a list."""
    above = f"({value} / {divisor} + 1) * {divisor}"
    return f"({value} >= {divisor} ? [{value} / {divisor} * {divisor}, {above}] : [{divisor}])"


def divisors(*values: str) -> str:
    """Return CEL text of the degrees that divide all `values`, as a list."""
    return f"{DIVISORS}.filter(x, {' && '.join(f'{value} % x == 0' for value in values)})"


def _look_up(model: type[BaseModel], path: str) -> tuple[FieldInfo, bool]:
    info, required = None, True
    for part in path.split("."):
        info = next(f for f in model.model_fields.values() if part == f.alias)
        required = required and info.is_required()
        model = _model_of(info.annotation) or model
    assert info is not None
    return info, required


def _is_quantity(info: FieldInfo) -> bool:
    options = [info.metadata, *(get_args(option) for option in get_args(info.annotation))]
    return any(getattr(m, "func", None) is parse_quantity for option in options for m in option)


def _model_of(annotation: Any) -> type[BaseModel] | None:
    for option in (annotation, *get_args(annotation)):
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def _table(values: dict[str, Any]) -> str:
    return "{" + ", ".join(f"'{key}': {_literal(value)}" for key, value in values.items()) + "}"


def _literal(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float():
            return repr(value) if "." in repr(value) or "e" in repr(value) else f"{value}.0"
        case str():
            return f"'{value}'"
    raise ValueError(f"a field that may be absent needs a default, not {value!r}")


LAYERS = shape("layers")
HIDDEN = shape("hiddenSize")
FFN = shape("ffnHiddenSize")
HEADS = shape("attentionHeads")
GROUPS = (
    f"(has(self.model.queryGroups) || has(self.model.preset) ? {shape('queryGroups')} : {HEADS})"
)
HEAD_DIM = (
    f"(has(self.model.headDim) || has(self.model.preset) ? {shape('headDim')} :"
    f" {given_value('n', HEADS, f'n > 0 ? {HIDDEN} / n : 0')})"
)
HAS_EXPERTS = (
    f"(has(self.model.experts) || has(self.model.preset) && self.model.preset in {list(_EXPERTS)})"
)
TENSOR = degree("parallelism.tensor")
PIPELINE = degree("parallelism.pipeline")
VIRTUAL = degree("parallelism.virtualPipeline")
CONTEXT = degree("parallelism.context")
EXPERT = degree("parallelism.expert")
EXPERT_TENSOR = degree("parallelism.expertTensor")
SEQUENCE_PARALLEL = field("parallelism.sequence")
NODES = degree("parallelism.nodes")
MODEL_RANKS = f"({TENSOR} * {PIPELINE} * {CONTEXT})"
WORLD = f"({NODES} * {degree('parallelism.gpusPerNode')})"
"""Devices; only meaningful where `HAS_WORLD`."""
_ANY_DEGREE = " || ".join(
    f"has(self.parallelism.{name})"
    for name in ("tensor", "pipeline", "virtualPipeline", "context", "expert", "expertTensor")
)
HAS_WORLD = f"({present('parallelism.gpusPerNode')} && ({_ANY_DEGREE}))"
"""Whether the manifest determines the grid: the devices of a node may come from the profile, and
degrees from the planner."""
IS_GRID = f"({HAS_WORLD} && {WORLD} % {MODEL_RANKS} == 0)"
"""Whether the devices hold a whole number of model copies."""
DATA_PARALLEL = f"({WORLD} / {MODEL_RANKS})"
MICRO_BATCH = degree("training.microBatchSize")
GLOBAL_BATCH = "self.training.globalBatchSize"
SEQUENCE = "self.training.sequenceLength"
TOKENS = field("training.tokens")
