"""Llama, Qwen2, Qwen3 and mixtures of experts: trained, loaded and exported like the classes of
transformers.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from integration.trainer.conftest import TrainerPods
from integration.trainer.training_runs import BATCH, LENGTH, MODEL, VOCABULARY, losses
from integration.trainer.transformers_runs import DECAY, load_model, train
from pretrain_api.reports import ExitClass, ExitReport

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

SCALED = {"type": "llama3", "factor": 8.0, "originalSequenceLength": 16}
YARN = {"type": "yarn", "factor": 4.0, "originalSequenceLength": 16}
FAMILIES: dict[str, dict[str, Any]] = {
    "LlamaForCausalLM": {"ropeScaling": SCALED},
    "LlamaForCausalLM with wide heads": {"headDim": 32, "ropeScaling": YARN},
    "Qwen2ForCausalLM": {"qkvBias": True},
    "Qwen3ForCausalLM": {"qkNorm": True, "headDim": 32, "tieEmbeddings": True},
    # Without the losses that keep experts busy, which transformers defines over other tokens.
    "MixtralForCausalLM": {"experts": {"count": 4, "ffnHiddenSize": 48, "auxiliaryLoss": 0.0}},
    "Qwen3MoeForCausalLM": {
        "qkNorm": True,
        "experts": {
            "count": 8,
            "topK": 3,
            "ffnHiddenSize": 32,
            "denseLayers": 1,
            "auxiliaryLoss": 0.0,
        },
    },
    "Glm4MoeForCausalLM": {
        "qkNorm": True,
        "qkvBias": True,
        "experts": {
            "count": 8,
            "topK": 4,
            "ffnHiddenSize": 32,
            "sharedFfnHiddenSize": 64,
            "denseLayers": 1,
            "groups": 4,
            "groupTopK": 2,
            "router": "sigmoid",
            "scalingFactor": 1.5,
            "auxiliaryLoss": 0.0,
            "biasUpdateRate": 0.0,
        },
    },
}
EVERYTHING = {"processes": 8, "tensor": 2, "pipeline": 2, "context": 2, "sequence": True}
STEPS, RATE = 6, 3e-3


def run_of(name: str, folder: str, rate: float = RATE, **layout: Any) -> dict[str, Any]:
    return {
        "model": FAMILIES[name],
        "parallelism": layout,
        "training": {
            "tokens": STEPS * BATCH * LENGTH,
            "optimizer": {"learningRate": rate, "minLearningRate": rate, "weightDecay": DECAY},
            "schedule": {"warmup": {"tokens": 0}, "decay": {"shape": "constant"}},
        },
        "checkpoint": {"uri": f"file:///pretrain/checkpoints/{folder}"},
        "export": {"huggingFace": {"uri": f"file:///pretrain/models/{folder}"}},
    }


def everywhere(name: str) -> dict[str, Any]:
    """Return a layout of eight ranks that uses every kind of parallelism."""
    return EVERYTHING | ({"expert": 2, "expertTensor": 2} if "experts" in FAMILIES[name] else {})


def complete(report: ExitReport) -> ExitReport:
    assert report.exit_class is ExitClass.COMPLETE, report.message
    return report


def exported(pods: TrainerPods, folder: str) -> Path:
    (found,) = (pods.root / "models" / folder).glob("*/*")
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_trains_as_in_transformers_in_one_process_and_in_eight(
    name: str, pods: TrainerPods
) -> None:
    complete(pods.attempt(**run_of(name, "start", rate=0.0)))
    start = exported(pods, "start")
    config = json.loads((start / "config.json").read_text())
    assert config["architectures"] == [name.split()[0]]
    want = train(load_model(start), pods.root, STEPS, RATE)

    single = complete(pods.attempt(**run_of(name, "single")))
    assert losses(single) == pytest.approx(want, abs=1e-5)
    assert losses(single)[-1] < losses(single)[0]
    assert single.training is not None
    assert single.training.export_logit_difference is not None
    assert single.training.export_logit_difference < 1e-5

    run = run_of(name, "spread", **everywhere(name))
    del run["export"]
    spread = complete(pods.attempt(**run))
    assert losses(spread) == pytest.approx(want, abs=1e-5)


KINDS = {
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "MixtralForCausalLM": "mixtral",
    "Qwen3MoeForCausalLM": "qwen3_moe",
    "Glm4MoeForCausalLM": "glm4_moe",
}
ROPE = {"glm4_moe": {"partial_rotary_factor": 1.0}}


def expert_fields(model: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the fields of transformers' configuration for a model's experts."""
    experts = model.get("experts")
    if experts is None:
        return {}
    fields = {"num_experts_per_tok": experts.get("topK", 2), "norm_topk_prob": True}
    if kind == "mixtral":
        width = experts["ffnHiddenSize"]
        return fields | {"num_local_experts": experts["count"], "intermediate_size": width}
    fields["moe_intermediate_size"] = experts["ffnHiddenSize"]
    dense = experts["denseLayers"]
    if kind == "qwen3_moe":
        return fields | {"num_experts": experts["count"], "mlp_only_layers": list(range(dense))}
    return fields | {
        "n_routed_experts": experts["count"],
        "n_shared_experts": experts["sharedFfnHiddenSize"] // experts["ffnHiddenSize"],
        "first_k_dense_replace": dense,
        "routed_scaling_factor": experts["scalingFactor"],
        "n_group": experts["groups"],
        "topk_group": experts["groupTopK"],
        "use_qk_norm": True,
        "attention_bias": True,
        "num_nextn_predict_layers": 0,
    }


def correction_biases(model: Any) -> list[torch.Tensor]:
    """Return the biases of sigmoid routers, which transformers has as buffers."""
    return [one for name, one in model.named_buffers() if name.endswith("e_score_correction_bias")]


def random_model(name: str, folder: Path) -> Any:
    """Save a model of transformers with random weights, biases and norms; return it."""
    from transformers import AutoConfig, AutoModelForCausalLM

    kind = KINDS[name]
    model = FAMILIES[name]
    config = AutoConfig.for_model(
        kind,
        vocab_size=VOCABULARY,
        hidden_size=MODEL["hiddenSize"],
        num_hidden_layers=MODEL["layers"],
        num_attention_heads=MODEL["attentionHeads"],
        num_key_value_heads=MODEL["queryGroups"],
        head_dim=model.get("headDim", 16),
        rms_norm_eps=1e-5,
        tie_word_embeddings=model.get("tieEmbeddings", False),
        max_position_embeddings=128,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0, **ROPE.get(kind, {})},
        **{"intermediate_size": MODEL["ffnHiddenSize"], **expert_fields(model, kind)},
    )
    torch.manual_seed(7)
    made = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for one in [*made.parameters(), *correction_biases(made)]:
            if one.dim() == 1:
                one.add_(torch.randn_like(one) * 0.3)
    made.save_pretrained(folder)
    return made


@pytest.mark.parametrize("name", KINDS)
def test_a_model_of_transformers_is_loaded_by_eight_and_exported_bit_for_bit(
    name: str, pods: TrainerPods
) -> None:
    folder = pods.root / "models/theirs"
    theirs = random_model(name, folder)
    run = run_of(name, "ours", rate=0.0, **everywhere(name))
    run["initialize"] = {"huggingFace": {"uri": "file:///pretrain/models/theirs"}}
    complete(pods.attempt(**run))
    ours = load_model(exported(pods, "ours"))
    assert type(ours) is type(theirs)
    want = theirs.state_dict()
    found = ours.state_dict()
    assert found.keys() == want.keys()
    assert not [key for key in want if not torch.equal(found[key], want[key])]


EXPERT = "model.layers.2.block_sparse_moe.experts.3."
DAMAGE: dict[str, tuple[Callable[[dict[str, torch.Tensor]], object], str]] = {
    "an expert without a matrix": (lambda weights: weights.pop(f"{EXPERT}w2.weight"), "w2.weight"),
    "an expert of another width": (
        lambda weights: weights.update({f"{EXPERT}w1.weight": torch.zeros(40, 64)}),
        "have other sizes than its config.json says",
    ),
    "a router for fewer experts": (
        lambda weights: weights.update(
            {"model.layers.1.block_sparse_moe.gate.weight": torch.zeros(3, 64)}
        ),
        "have other sizes than its config.json says",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_mixture_is_refused_before_the_first_step(name: str, pods: TrainerPods) -> None:
    folder = pods.root / "models/theirs"
    random_model("MixtralForCausalLM", folder)
    weights = load_file(folder / "model.safetensors")
    damage, want = DAMAGE[name]
    damage(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    run = run_of("MixtralForCausalLM", "ours", processes=2, expert=2)
    run["initialize"] = {"huggingFace": {"uri": "file:///pretrain/models/theirs"}}
    report = pods.attempt(**run)
    assert report.exit_class is ExitClass.USER_ERROR, report.message
    assert want in report.message
    assert "theirs" in report.message
