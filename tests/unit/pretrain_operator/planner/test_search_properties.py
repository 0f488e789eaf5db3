"""The search misses nothing that fits, and estimates move with what they depend on."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_api.formulas.model_shapes import ExpertsShape, ModelShape
from pretrain_api.profiles import DEVICES
from pretrain_api.rules import Severity, check
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.planner.device_budget import DeviceBudget
from pretrain_operator.planner.estimates.layout import Layout
from pretrain_operator.planner.estimates.memory import peak_memory, peak_rank
from pretrain_operator.planner.estimates.planned_run import PlannedRun
from pretrain_operator.planner.estimates.speeds import Speeds, speeds_of
from pretrain_operator.planner.estimates.step_shape import StepShape
from pretrain_operator.planner.estimates.step_time import step_time
from pretrain_operator.planner.from_spec import layout_of
from pretrain_operator.planner.legal_layouts import legal_layouts
from pretrain_operator.planner.search import Candidate, search
from pretrain_operator.planner.to_status import parallelism_spec

H100 = speeds_of(DEVICES["h100"])
SMALL = ModelShape(12, 1024, 3072, 16, 8, 64, 32_000)
UNEVEN = replace(SMALL, layers=14, attention_heads=12, query_groups=4, hidden_size=768)
EXPERTS = replace(UNEVEN, layers=12, experts=ExpertsShape(8, 2, 1024))
STEP = StepShape(1, 48, 2048)
MODELS = {"dense": SMALL, "uneven": UNEVEN, "experts": EXPERTS}


def budget_of(devices: int, memory_bytes: float | None, speeds: Speeds | None) -> DeviceBudget:
    """Return devices in nodes of eight."""
    return DeviceBudget(
        world_size=devices, devices_per_node=8, memory_bytes=memory_bytes, speeds=speeds
    )


def manifest(model: ModelShape, step: StepShape, parallelism: dict[str, Any]) -> dict[str, Any]:
    """Return the spec of a run of a model, as in a manifest."""
    shape: dict[str, Any] = {
        "layers": model.layers,
        "hiddenSize": model.hidden_size,
        "ffnHiddenSize": model.ffn_hidden_size,
        "attentionHeads": model.attention_heads,
        "queryGroups": model.query_groups,
        "vocabularySize": model.padded_vocabulary_size,
    }
    if model.experts:
        shape["experts"] = {"count": 8, "topK": 2, "ffnHiddenSize": 1024}
    return {
        "model": shape,
        "data": {"datasetRef": {"name": "blocks"}},
        "parallelism": parallelism,
        "training": {
            "tokens": "1G",
            "sequenceLength": step.seq_length,
            "globalBatchSize": step.global_batch_size,
            "microBatchSize": step.micro_batch_size,
        },
        "checkpoint": {"uri": "s3://checkpoints/run"},
    }


def accepted(model: ModelShape, step: StepShape, world_size: int) -> Iterator[Layout]:
    """Yield the layouts of one node whose manifests break no rule, by trying all degrees."""
    sizes = [n for n in range(1, world_size + 1) if world_size % n == 0]
    experts = [n for n in sizes if model.experts] or [1]
    for tensor, pipeline, context, virtual, expert in product(
        sizes, sizes, (1, 2, 4, 8), (1, 2, 3, 4, 6, 7, 12), experts
    ):
        for counts_ends in (False, True) if model.layers % pipeline else (False,):
            degrees: dict[str, Any] = {
                "gpusPerNode": world_size,
                "tensor": tensor,
                "pipeline": pipeline,
                "context": context,
                "virtualPipeline": virtual,
                "sequence": tensor > 1,
                **({"expert": expert} if model.experts else {}),
                **({"countEmbedding": True, "countLoss": True} if counts_ends else {}),
            }
            spec = manifest(model, step, degrees)
            if not [p for p in check("PretrainJob", spec) if p.severity is Severity.ERROR]:
                parsed = PretrainJobSpec.model_validate(spec)
                yield layout_of(parsed.parallelism, model.layers, world_size)


@pytest.mark.parametrize("name", MODELS)
def test_no_layout_that_keeps_the_rules_and_fits_is_missed(name: str) -> None:
    model = MODELS[name]
    legal = set(accepted(model, STEP, 8))
    assert len(legal) > 20
    needs = {
        layout: max(
            peak_memory(PlannedRun(model, layout, STEP), rank).total
            for rank in range(layout.pipeline)
        )
        for layout in legal
    }
    for limit in (sorted(needs.values())[len(needs) // 2], min(needs.values()), 1.0):
        found = search(model, STEP, budget_of(8, limit, H100))
        want = {layout for layout, need in needs.items() if need <= limit}
        assert {candidate.layout for candidate in found} == want


@st.composite
def runs(draw: st.DrawFn) -> PlannedRun:
    """Give legal runs of small models."""
    model = MODELS[draw(st.sampled_from(sorted(MODELS)))]
    model = replace(model, is_tied=draw(st.booleans()))
    if model.experts:
        model = replace(model, experts=replace(model.experts, dense_layers=draw(st.integers(0, 5))))
    step = replace(
        STEP,
        micro_batch_size=draw(st.sampled_from([1, 2])),
        recompute=draw(st.sampled_from(["none", "selective", "full"])),
        precision=draw(st.sampled_from(["bf16", "fp32"])),
    )
    budget = budget_of(draw(st.sampled_from([1, 2, 4, 8, 16, 24])), None, None)
    layouts = [layout for layout, _ in legal_layouts(model, step, budget)]
    return PlannedRun(model, draw(st.sampled_from(layouts)), step)


@given(run=runs())
def test_the_rank_with_most_memory_is_found_among_the_candidates(run: PlannedRun) -> None:
    everywhere = [peak_memory(run, rank).total for rank in range(run.layout.pipeline)]
    rank, memory = peak_rank(run)
    assert memory.total == max(everywhere) == everywhere[rank]


def total(run: PlannedRun) -> float:
    return peak_rank(run)[1].total


GROWING: dict[str, Any] = {
    "longer sequences": lambda run: replace(
        run, step=replace(run.step, seq_length=2 * run.step.seq_length)
    ),
    "a wider feed-forward layer": lambda run: replace(
        run, model=replace(run.model, ffn_hidden_size=2 * run.model.ffn_hidden_size)
    ),
    "a larger vocabulary": lambda run: replace(
        run, model=replace(run.model, padded_vocabulary_size=64_000)
    ),
    "more layers on each rank": lambda run: replace(
        run,
        model=replace(run.model, layers=2 * run.model.layers),
        layout=replace(run.layout, stages=tuple(2 * count for count in run.layout.stages)),
    ),
    "an optimizer that is not shared": lambda run: replace(
        run, layout=replace(run.layout, distributed_optimizer=False)
    ),
}


@pytest.mark.parametrize("change", GROWING)
@settings(max_examples=40)
@given(run=runs())
def test_memory_never_falls_with(change: str, run: PlannedRun) -> None:
    assert total(GROWING[change](run)) >= total(run)


@settings(max_examples=40)
@given(run=runs())
def test_recomputation_costs_at_most_the_input_of_a_layer(run: PlannedRun) -> None:
    """On a rank with one layer and one micro-batch it saves nothing, and keeps that input."""
    kept = replace(run, step=replace(run.step, recompute="none"))
    layer_input = 4 * run.step.micro_batch_size * run.step.seq_length * run.model.hidden_size
    assert total(kept) + layer_input >= total(run)


SLOWER: dict[str, Any] = {
    name: GROWING[name]
    for name in ("longer sequences", "a wider feed-forward layer", "more layers on each rank")
} | {
    "a larger batch": lambda run: replace(
        run, step=replace(run.step, global_batch_size=2 * run.step.global_batch_size)
    ),
    "full recomputation": lambda run: replace(run, step=replace(run.step, recompute="full")),
}


@pytest.mark.parametrize("change", SLOWER)
@settings(max_examples=40)
@given(run=runs())
def test_a_step_never_gets_faster_with(change: str, run: PlannedRun) -> None:
    assert step_time(SLOWER[change](run), H100).total >= step_time(run, H100).total


RATES = ("matrix", "attention", "fp32", "memory", "domain", "network")


@pytest.mark.parametrize("rate", RATES)
@settings(max_examples=30)
@given(run=runs())
def test_a_step_never_gets_slower_on_a_faster_device(rate: str, run: PlannedRun) -> None:
    faster: Speeds = replace(H100, **{rate: 2 * getattr(H100, rate)})
    assert step_time(run, faster).total <= step_time(run, H100).total


@settings(max_examples=30)
@given(
    limit=st.floats(1e9, 2e10),
    more=st.floats(1.0, 3.0),
    name=st.sampled_from(sorted(MODELS)),
    has_speeds=st.booleans(),
)
def test_more_memory_keeps_all_layouts_and_is_never_slower(
    limit: float, more: float, name: str, has_speeds: bool
) -> None:
    speeds = H100 if has_speeds else None
    tight = search(MODELS[name], STEP, budget_of(8, limit, speeds))
    roomy = search(MODELS[name], STEP, budget_of(8, limit * more, speeds))
    assert {c.layout for c in tight} <= {c.layout for c in roomy}
    for candidates in (tight, roomy):
        seconds = [candidate.seconds for candidate in candidates]
        assert seconds == sorted(seconds)
        assert has_speeds or not any(seconds)
    if tight:
        assert roomy[0].seconds <= tight[0].seconds


@given(run=runs(), nodes=st.sampled_from([1, 2, 4]))
def test_a_chosen_layout_survives_the_status(run: PlannedRun, nodes: int) -> None:
    """The operator plans again from what it wrote, and must come to the same Jobs."""
    layout = replace(run.layout, world_size=run.layout.world_size * nodes)
    units, pipeline = run.model.layers, layout.pipeline
    counts_ends = units % pipeline > 0
    candidate = Candidate(layout, run.step, counts_ends, 0.0, 0.0)
    spec = parallelism_spec(candidate, nodes, run.layout.world_size)
    written = type(spec).model_validate(spec.model_dump(mode="json", by_alias=True))
    assert layout_of(written, run.model.layers, 1) == layout
