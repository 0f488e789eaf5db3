"""Compares the experts of a Hugging Face model with those of a run."""

from collections.abc import Iterator
from typing import Any

from pretrain_api.v1alpha1.model import ExpertsSpec

EXPERT_COUNTS = {
    "mixtral": ("num_local_experts", "num_experts"),
    "qwen3_moe": ("num_experts", "num_local_experts"),
    "glm4_moe": ("n_routed_experts", "num_local_experts"),
}
"""For each `model_type` with experts, the fields that may say how many a layer has."""

_SHARE = "partial_rotary_factor"


def unlike_our_experts(config: dict[str, Any]) -> Iterator[str]:
    """Yield what a model with experts has and none of ours can have."""
    is_glm = config["model_type"] == "glm4_moe"
    is_normed = config.get("norm_topk_prob", is_glm or config["model_type"] == "mixtral")
    if is_normed is not True:
        yield f"norm_topk_prob is {is_normed!r}, not true"
    if config.get("decoder_sparse_step", 1) != 1:
        yield f"decoder_sparse_step is {config['decoder_sparse_step']!r}, not 1"
    dense = _dense_layers(config)
    if dense != list(range(len(dense))):
        yield f"mlp_only_layers is {dense!r}, not the first layers"
    if is_glm and config.get(_SHARE, 0.5) != 1:
        yield f"{_SHARE} is {config.get(_SHARE, 0.5)!r}, not 1"


def expert_sizes(
    config: dict[str, Any], experts: ExpertsSpec | None
) -> Iterator[tuple[str, Any, Any]]:
    """Yield each field of `spec.model.experts`, its value, and that of the Hugging Face model."""
    kind = str(config.get("model_type"))
    if kind not in EXPERT_COUNTS or experts is None:
        theirs = "given" if kind in EXPERT_COUNTS else "none"
        yield "experts", "none" if experts is None else "given", theirs
        return
    theirs_of = _glm_fields(config) if kind == "glm4_moe" else _softmax_fields(config)
    count = next((config[name] for name in EXPERT_COUNTS[kind] if name in config), None)
    fields = {"count": count, "topK": config.get("num_experts_per_tok", 2), **theirs_of}
    ours = experts.model_dump(by_alias=True)
    for name, value in fields.items():
        yield f"experts.{name}", ours[name], value


def _softmax_fields(config: dict[str, Any]) -> dict[str, Any]:
    is_mixtral = config["model_type"] == "mixtral"
    return {
        "router": "softmax",
        "ffnHiddenSize": config.get("intermediate_size" if is_mixtral else "moe_intermediate_size"),
        "denseLayers": len(_dense_layers(config)),
    }


def _glm_fields(config: dict[str, Any]) -> dict[str, Any]:
    width, shared = config.get("moe_intermediate_size"), config.get("n_shared_experts", 1)
    groups = config.get("n_group", 1)
    has_groups = groups != 1
    return {
        "router": "sigmoid",
        "ffnHiddenSize": width,
        "sharedFfnHiddenSize": (
            shared * width if isinstance(width, int) and isinstance(shared, int) else None
        ),
        "denseLayers": config.get("first_k_dense_replace", 1),
        "scalingFactor": config.get("routed_scaling_factor", 1.0),
        "groups": groups if has_groups else None,
        "groupTopK": config.get("topk_group", 1) if has_groups else None,
    }


def _dense_layers(config: dict[str, Any]) -> list[Any]:
    layers = config.get("mlp_only_layers")
    return layers if isinstance(layers, list) else []
