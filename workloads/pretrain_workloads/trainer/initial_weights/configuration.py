"""Compares configuration and tokenizer of a Hugging Face model with those of a run."""

from collections.abc import Iterator
from typing import Any

from pretrain_api.runs import TrainingRun
from pretrain_api.v1alpha1.model import ModelSpec
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder, open_artifact
from pretrain_workloads.trainer.initial_weights.expert_configuration import (
    EXPERT_COUNTS,
    expert_sizes,
    unlike_our_experts,
)

CONFIGURATION = "config.json"
_TOKENIZER = "tokenizer.json"

_DENSE_KINDS = ("llama", "mistral", "qwen2", "qwen3")
_KINDS = (*_DENSE_KINDS, *EXPERT_COUNTS)
"""Values of `model_type` that name a model of ours, if no other field makes it another one."""

_LENGTH = {"original_max_position_embeddings": "originalSequenceLength"}
_SCALING = {
    "linear": {"factor": "factor"},
    "llama3": {
        "factor": "factor",
        "low_freq_factor": "lowFrequencyFactor",
        "high_freq_factor": "highFrequencyFactor",
        **_LENGTH,
    },
    "yarn": {"factor": "factor", "beta_fast": "betaFast", "beta_slow": "betaSlow", **_LENGTH},
}
"""For each kind of scaling its parameters, and the fields of `spec.model.ropeScaling`."""

_ROPE_TYPES = ("default", *_SCALING)
_DEFAULTS = {"beta_fast": 32.0, "beta_slow": 1.0}

_ROPE_BASE = 10_000.0
"""Base of a configuration that has none."""


def check_configuration(model: ModelSpec, folder: Folder, vocabulary_size: int) -> None:
    """Check that the model in `folder` is the model of a run.

    Args:
        model: Model of the run.
        folder: Folder of the Hugging Face model.
        vocabulary_size: Ids that the run's model knows.

    Raises:
        UserError: If it is another model; names every field that differs, and what would do.
    """
    uri = folder.uri_of(CONFIGURATION)
    try:
        config = folder.read_json(CONFIGURATION)
    except ValueError as error:
        raise UserError(f"spec.initialize.huggingFace: {uri} is no JSON: {error}") from error
    if not isinstance(config, dict):
        raise UserError(f"spec.initialize.huggingFace: {uri} is no JSON object")
    if unlike := list(_unlike_llama(config)):
        raise UserError(
            f"spec.initialize.huggingFace: {uri} describes a model that is not trained here: "
            f"{'; '.join(unlike)}; use a model without them"
        )
    differing = [
        f"spec.model.{field}: {ours}, but {uri} has {theirs}; use {theirs}"
        for field, ours, theirs in _sizes(config, model)
        if ours != theirs
    ]
    theirs = config.get("vocab_size")
    if isinstance(theirs, int) and theirs > vocabulary_size:
        differing.append(
            f"spec.model.vocabularySize: {vocabulary_size}, but {uri} has {theirs} ids; use "
            f"{theirs} or more"
        )
    if differing:
        raise UserError("; ".join(differing))


def check_same_tokenizer(run: TrainingRun, folder: Folder) -> None:
    """Check that ids mean to the run's tokenizer what they mean to the model in `folder`.

    A folder without a tokenizer is not checked; neither are ids that only one of them has.

    Raises:
        UserError: If an id stands for two pieces.
    """
    if not folder.exists(_TOKENIZER):
        return
    theirs, ours = (_pieces(place) for place in (folder, open_artifact(run.tokenizer)))
    differing = [number for number, piece in theirs.items() if ours.get(number, piece) != piece]
    if differing:
        first = min(differing)
        raise UserError(
            f"spec.initialize.huggingFace: the model in {folder.uri} was trained with another "
            f"tokenizer: {len(differing)} ids stand for other pieces, such as {first}, "
            f"{theirs[first]!r} there and {ours[first]!r} in {run.tokenizer.uri}; use the model's "
            "own, by spec.existing of the Tokenizer"
        )


def _pieces(folder: Folder) -> dict[int, str]:
    """Return the piece of each id."""
    from tokenizers import Tokenizer  # not above: its import is only needed here

    try:
        vocabulary = Tokenizer.from_str(folder.read_bytes(_TOKENIZER).decode()).get_vocab()
    except Exception as error:  # the library has no class of its own
        raise UserError(f"{folder.uri_of(_TOKENIZER)}: cannot be loaded: {error}") from error
    return {number: piece for piece, number in vocabulary.items()}


def _unlike_llama(config: dict[str, Any]) -> Iterator[str]:
    """Yield what the model has and none of ours can have."""
    kind = str(config.get("model_type"))
    if kind not in _KINDS:
        yield f"model_type is {config.get('model_type')!r}, none of {', '.join(_KINDS)}"
    if config.get("hidden_act", "silu") != "silu":
        yield f"hidden_act is {config['hidden_act']!r}, not 'silu'"
    has_window = config.get("use_sliding_window", kind in ("mistral", "mixtral"))
    biases = ("mlp_bias",) if kind == "glm4_moe" else ("attention_bias", "mlp_bias")
    for name in (*biases, *(["sliding_window"] if has_window else [])):
        if config.get(name):
            yield f"{name} is {config[name]!r}"
    if kind in EXPERT_COUNTS:
        yield from unlike_our_experts(config | _rope(config))
    if (rope := _rope_type(config)) not in _ROPE_TYPES:
        yield f"the rotary positions are scaled ({rope})"


def _sizes(config: dict[str, Any], model: ModelSpec) -> Iterator[tuple[str, Any, Any]]:
    """Yield each field of `spec.model`, its value, and that of the Hugging Face model."""
    kind = str(config.get("model_type"))
    heads = config.get("num_attention_heads")
    hidden = config.get("hidden_size")
    width = config.get("head_dim")
    if width is None and isinstance(heads, int) and isinstance(hidden, int):
        width = hidden // max(1, heads)
    base = _rope(config).get("rope_theta") or config.get("rope_theta") or _ROPE_BASE
    yield "layers", model.layers, config.get("num_hidden_layers")
    yield "hiddenSize", model.hidden_size, hidden
    if kind != "mixtral":  # it has no dense layers, to which this belongs
        yield "ffnHiddenSize", model.ffn_hidden_size, config.get("intermediate_size")
    yield "attentionHeads", model.attention_heads, heads
    yield "queryGroups", model.key_value_heads, config.get("num_key_value_heads") or heads
    yield "headDim", model.head_width, width
    yield "ropeBase", model.rope_base, base
    yield "ropeScaling", _our_scaling(model), _their_scaling(config)
    glm = kind == "glm4_moe"
    bias = bool(config.get("attention_bias")) if glm else kind == "qwen2"
    norm = bool(config.get("use_qk_norm")) if glm else kind in ("qwen3", "qwen3_moe")
    yield "qkvBias", model.qkv_bias, bias
    yield "qkNorm", model.qk_norm, norm
    yield "normEpsilon", model.norm_epsilon, config.get("rms_norm_eps", 1e-6)
    yield "tieEmbeddings", model.tie_embeddings, bool(config.get("tie_word_embeddings", False))
    yield from expert_sizes(config, model.experts)


def _rope(config: dict[str, Any]) -> dict[str, Any]:
    """Return the rotary positions, as releases of transformers from 5 on write them."""
    return _object(config.get("rope_parameters"))


def _rope_type(config: dict[str, Any]) -> str:
    rope = _rope(config) or _object(config.get("rope_scaling"))
    return str(rope.get("rope_type", rope.get("type", "default")))


def _our_scaling(model: ModelSpec) -> str:
    """Return the scaling of the rotary positions as a manifest has it, or `none`."""
    if model.rope_scaling is None:
        return "none"
    fields = model.rope_scaling.model_dump(by_alias=True)
    return _shown(model.rope_scaling.type, fields)


def _their_scaling(config: dict[str, Any]) -> str:
    """Return the scaling of the Hugging Face model as a manifest has it, or `none`."""
    kind = _rope_type(config)
    if kind == "default":
        return "none"
    given = {**_DEFAULTS, **_object(config.get("rope_scaling")), **_rope(config)}
    return _shown(kind, {ours: given.get(theirs) for theirs, ours in _SCALING[kind].items()})


def _shown(kind: str, fields: dict[str, Any]) -> str:
    values = ", ".join(f"{name}: {_plain(fields[name])}" for name in _SCALING[kind].values())
    return f"{{type: {kind}, {values}}}"


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
