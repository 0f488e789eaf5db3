"""What we accept Megatron-core accepts; what we refuse it refuses, or our rule says why not."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_api.rules import RULES, Severity, check
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec

torch = pytest.importorskip("torch", reason="the trainer's packages are needed")
megatron = pytest.importorskip("megatron_oracle", reason="the trainer's packages are needed")

pytestmark = [
    pytest.mark.integration,
    # Megatron-core warns of what its own defaults say.
    pytest.mark.filterwarnings("ignore::UserWarning:megatron"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:megatron"),
    pytest.mark.filterwarnings("ignore::FutureWarning:torch"),
]

CONFIGURATION = (
    "transformer_config",
    "model_parallel_config",
    "parallel_state",
    "transformer_block",
    "num_microbatches_calculator",
    "tensor_parallel/layers",
    "attention.py",
)
"""Upstream's files that the oracle asks; other rules fire in the first step, or never."""

_RULES = {rule.id: rule for rule in RULES["PretrainJob"]}


@st.composite
def _specs(draw: st.DrawFn) -> dict[str, Any]:
    degree = st.sampled_from([1, 1, 1, 2, 2, 3, 4])
    model: dict[str, Any] = {
        "layers": draw(st.sampled_from([4, 6, 8, 12, 16, 30])),
        "hiddenSize": draw(st.sampled_from([512, 768, 1000])),
        "ffnHiddenSize": draw(st.sampled_from([1024, 1536, 2730])),
        "attentionHeads": draw(st.sampled_from([4, 8, 12, 16])),
        "queryGroups": draw(st.sampled_from([1, 2, 4, 4, 8])),
    }
    layout: dict[str, Any] = {
        "nodes": draw(st.sampled_from([1, 2, 4, 6])),
        "gpusPerNode": draw(st.sampled_from([4, 8])),
        "tensor": draw(degree),
        "pipeline": draw(degree),
        "context": draw(st.sampled_from([1, 1, 1, 2])),
    }
    layout["sequence"] = layout["tensor"] > 1 and draw(st.booleans())
    for name, values, odds in (
        ("virtualPipeline", [2, 3], 4),
        ("firstStageLayers", [1, 2, 4], 8),
        ("lastStageLayers", [1, 2, 4], 8),
        ("countEmbedding", [True], 6),
        ("countLoss", [True], 6),
    ):
        if draw(st.integers(1, odds)) == 1:
            layout[name] = draw(st.sampled_from(values))
    if draw(st.integers(1, 4)) == 1:
        count = draw(st.sampled_from([4, 6, 8]))
        model["experts"] = {"count": count, "ffnHiddenSize": 512, "topK": 2}
        layout["expert"] = draw(st.sampled_from([1, 2, 4]))
        layout["expertTensor"] = draw(st.sampled_from([1, 1, 2]))
    training = {
        "tokens": "1G",
        "sequenceLength": 2048,
        "globalBatchSize": draw(st.sampled_from([24, 48, 64, 96, 100])),
        "microBatchSize": draw(st.sampled_from([1, 1, 2])),
    }
    return {
        "model": model,
        "data": {"datasetRef": {"name": "blocks"}},
        "parallelism": layout,
        "training": training,
        "checkpoint": {"uri": "s3://checkpoints/run"},
    }


def _is_upstreams(rule: str) -> bool:
    """Return whether the oracle should refuse what this rule refuses."""
    source = _RULES[rule].source
    return not _RULES[rule].stricter and any(name in source for name in CONFIGURATION)


def test_we_and_megatron_core_accept_the_same_specs() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=400, deadline=None, derandomize=True, database=None)
    @given(spec=_specs())
    def compare(spec: dict[str, Any]) -> None:
        broken = [p.rule for p in check("PretrainJob", spec) if p.severity is Severity.ERROR]
        refusal = megatron.refusal(PretrainJobSpec.model_validate(spec))
        if not broken:
            assert refusal is None, refusal
        elif refusal is None:
            assert not [rule for rule in broken if _is_upstreams(rule)], broken
        seen["both accept" if not broken else "both refuse" if refusal else "stricter"] += 1

    compare()
    assert seen["both accept"] >= 30, seen
    assert seen["both refuse"] >= 30, seen
