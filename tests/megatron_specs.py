"""Specs of runs that state their grid, for the comparison with Megatron-core, which needs it."""

from typing import Any

from hypothesis import strategies as st

Spec = dict[str, Any]


def with_a_grid(spec: Spec) -> Spec:
    """Return the spec with the devices and a degree, which profile and planner may set instead."""
    grid = {"gpusPerNode": 8, "tensor": 1, **spec.get("parallelism", {})}
    return {**spec, "parallelism": grid}


@st.composite
def shaped_specs(draw: st.DrawFn) -> Spec:
    """Give small shapes on small grids; about a third of them keeps the rules."""
    degree = st.sampled_from([1, 1, 1, 2, 2, 3, 4])
    model: dict[str, Any] = {
        "layers": draw(st.sampled_from([4, 6, 8, 12, 16, 30])),
        "hiddenSize": draw(st.sampled_from([512, 768, 1000])),
        "ffnHiddenSize": draw(st.sampled_from([1024, 1536, 2730])),
        "attentionHeads": draw(st.sampled_from([4, 6, 8, 12, 16])),
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
