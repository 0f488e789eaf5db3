"""What must divide what: rules, planner and trainer agree about any spec.

The rules say it in CEL, for the API server; the planner enumerates layouts and the trainer checks
sizes with the Python of `pretrain_api.formulas`.
"""

import pytest

from builders import make_training_run
from checked_specs import CheckedSpec, check_spec, draw_checked_specs
from pretrain_api.formulas.divisibility import (
    can_chunk,
    can_interleave,
    can_split_groups,
    can_split_sequence,
    can_split_vocabulary,
    context_multiple,
    expert_parallel_size,
    has_fp8_tokens,
    has_fp8_weights,
    micro_step_size,
    model_parallel_size,
    tensor_split_sizes,
)
from pretrain_api.formulas.model_shapes import ModelShape, model_shape_of
from pretrain_api.formulas.stages import stage_layers
from pretrain_api.runs import TrainingRun
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.planner.device_budget import DeviceBudget
from pretrain_operator.planner.estimates.layout import Layout
from pretrain_operator.planner.from_spec import layout_of, step_shape_of
from pretrain_operator.planner.legal_layouts import legal_layouts
from pretrain_operator.planner.planned_vocabulary import vocabulary_problems
from pretrain_operator.planner.search import Candidate
from pretrain_operator.planner.to_status import parallelism_spec
from pretrain_workloads.trainer.megatron.parallel_layout import InvalidLayout, plan_layout

LAYOUTS = 1200
"""Layouts of the planner that the rules check."""

LAYOUTS_OF_A_SPEC = 3
"""Evenly spread over those that the planner enumerates for one spec, with the last of them."""

VOCABULARY_SIZE = 32_000

CHECKED_BY_THE_TRAINER = {
    "heads-tensor",
    "heads-groups",
    "hidden-heads",
    "head-dim-even",
    "ffn-tensor",
    "vocabulary-tensor",
    "layers-pipeline",
    "layers-virtual",
    "virtual-pipeline",
    "world-grid",
    "batch-grid",
    "batch-interleaved",
    "sequence-split",
    "context-split",
    "one-step",
}
"""Rules about the sizes of a dense model with even stages, which the trainer can run."""


def shape_of(spec: PretrainJobSpec) -> ModelShape:
    return model_shape_of(spec.model, spec.model.vocabulary_size or VOCABULARY_SIZE)


def budget_of(spec: PretrainJobSpec) -> DeviceBudget:
    per_node = spec.parallelism.gpus_per_node or 1
    return DeviceBudget(
        world_size=spec.parallelism.nodes * per_node,
        devices_per_node=per_node,
        memory_bytes=None,
        speeds=None,
    )


def training_run(spec: PretrainJobSpec) -> TrainingRun:
    return make_training_run(spec, spec.parallelism.gpus_per_node, "cuda")


def results_of_formulas(spec: PretrainJobSpec) -> dict[str, bool]:
    """Return whether a spec keeps the rules that the formulas have too."""
    model, cut, training = shape_of(spec), spec.parallelism, spec.training
    tensor, split, length = cut.tensor, tensor_split_sizes(model), training.sequence_length
    world = cut.nodes * (cut.gpus_per_node or 1)
    grid = model_parallel_size(tensor, cut.pipeline, cut.context)
    expert_grid = expert_parallel_size(cut.expert_tensor_size, cut.expert, cut.pipeline)
    step = micro_step_size(training.micro_batch_size, world // grid)
    batch = training.global_batch_size
    fits_grid = world % grid == 0
    is_even = (cut.stage_layers, cut.first_stage_layers, cut.last_stage_layers) == (None,) * 3
    is_fp8, tokens = training.precision == "fp8", length * training.micro_batch_size
    return {
        "heads-tensor": split["attentionHeads"] % tensor == 0,
        "ffn-tensor": split["ffnHiddenSize"] % tensor == 0,
        "vocabulary-tensor": spec.model.vocabulary_size is None
        or can_split_vocabulary(model.padded_vocabulary_size, tensor),
        "groups-tensor": can_split_groups(model.query_groups, tensor),
        "layers-pipeline": not is_even
        or sum(stage_layers(cut, spec.model.layers)) == spec.model.layers,
        "virtual-pipeline": can_chunk(cut.pipeline, cut.virtual_stages),
        "context-split": length % context_multiple(cut.context) == 0,
        "sequence-split": not cut.sequence or can_split_sequence(length, tensor, cut.context),
        "world-grid": fits_grid,
        "batch-grid": not fits_grid or batch % step == 0,
        "batch-interleaved": not fits_grid
        or batch % step != 0
        or can_interleave(batch // step, cut.pipeline, cut.virtual_stages),
        "expert-grid": model.experts is None or world % expert_grid == 0,
        "fp8-weights": not is_fp8 or has_fp8_weights(model, tensor),
        "fp8-tokens": not is_fp8
        or has_fp8_tokens(tokens, cut.context, tensor if cut.sequence else 1),
    }


def is_enumerated(spec: PretrainJobSpec, layout: Layout) -> bool:
    """Return whether a layout is of a kind that the planner tries."""
    cut, length = spec.parallelism, spec.training.sequence_length
    counted = {cut.count_embedding, cut.count_loss}
    is_even = spec.model.layers % layout.pipeline == 0
    splits = layout.tensor > 1 and can_split_sequence(length, layout.tensor, layout.context)
    return (
        layout.tensor <= (cut.gpus_per_node or 1)
        and layout.context in (1, 2, 4, 8)
        and layout.sequence_parallel == splits
        and layout.expert_tensor == 1
        and cut.stage_layers is None
        and cut.first_stage_layers is None
        and cut.last_stage_layers is None
        and (counted == {False} or (counted == {True} and not is_even))
    )


@pytest.fixture(scope="module")
def checked_specs() -> list[CheckedSpec]:
    return draw_checked_specs()


def test_rules_and_formulas_refuse_the_same(checked_specs: list[CheckedSpec]) -> None:
    refused: set[str] = set()
    for case in checked_specs:
        if case.errors & {"schema", "model-shape"}:
            continue
        results = results_of_formulas(case.spec)
        want = case.errors & results.keys()
        assert {rule for rule, is_kept in results.items() if not is_kept} == want, case.manifest
        refused |= want
    assert refused == results.keys()


def test_what_the_rules_accept_the_planner_lays_out(checked_specs: list[CheckedSpec]) -> None:
    accepted = [case.spec for case in checked_specs if not case.errors]
    accepted = [spec for spec in accepted if not vocabulary_problems(spec, VOCABULARY_SIZE)]
    enumerated = 0
    for spec in accepted:
        layout = layout_of(spec.parallelism, spec.model.layers, 1)
        assert sum(layout.stages) == spec.model.layers
        sizes = layout.tensor * layout.pipeline * layout.context * layout.data_parallel
        assert sizes == layout.world_size
        if is_enumerated(spec, layout):
            enumerated += 1
            step, optimizer = step_shape_of(spec.training), layout.distributed_optimizer
            legal = legal_layouts(shape_of(spec), step, budget_of(spec), optimizer)
            assert layout in {other for other, _ in legal}, spec
    assert len(accepted) > 800
    assert enumerated > 600


def test_what_the_rules_accept_the_trainer_accepts(checked_specs: list[CheckedSpec]) -> None:
    accepted = [case.spec for case in checked_specs if not case.errors and not case.not_yet]
    accepted = [spec for spec in accepted if not vocabulary_problems(spec, VOCABULARY_SIZE)]
    for spec in accepted:
        plan_layout(training_run(spec), VOCABULARY_SIZE)
    assert len(accepted) > 400


def test_what_the_rules_about_sizes_refuse_the_trainer_refuses(
    checked_specs: list[CheckedSpec],
) -> None:
    refused: set[str] = set()
    for case in checked_specs:
        errors = case.errors & CHECKED_BY_THE_TRAINER
        has_order = "batch-schedule-order" not in case.errors  # else the run may lack a size
        if errors and has_order and not case.not_yet - {"not-yet-groups"}:
            refused |= errors
            with pytest.raises(InvalidLayout):
                plan_layout(training_run(case.spec), VOCABULARY_SIZE)
    assert refused == CHECKED_BY_THE_TRAINER


def test_what_the_planner_enumerates_the_rules_accept(checked_specs: list[CheckedSpec]) -> None:
    checked = 0
    for case in reversed(checked_specs):  # first those with batch schedules, fp8 and long sequences
        grid = case.manifest["parallelism"]
        nodes, per_node = grid.get("nodes", 1), grid["gpusPerNode"]
        left_out = {**case.manifest, "parallelism": {"nodes": nodes, "gpusPerNode": per_node}}
        if checked > LAYOUTS:
            break
        if check_spec(left_out).errors:
            continue
        spec = PretrainJobSpec.model_validate(left_out)
        step = step_shape_of(spec.training)
        legal = [*legal_layouts(shape_of(spec), step, budget_of(spec))]
        for layout, counts_ends in legal[:: -(len(legal) // LAYOUTS_OF_A_SPEC) - 1]:
            checked += 1
            candidate = Candidate(layout, step, counts_ends, 0.0, 0.0)
            parallelism = parallelism_spec(candidate, nodes, per_node)
            degrees = parallelism.model_dump(by_alias=True, exclude_none=True)
            chosen = {**left_out, "parallelism": degrees}
            assert check_spec(chosen).errors == set(), chosen
            assert layout_of(parallelism, spec.model.layers, 1) == layout
    assert checked > LAYOUTS
