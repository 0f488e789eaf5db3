"""Shares of a model on its devices add up to the model, for any shape that can be split."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.formulas.divisibility import (
    can_split_groups,
    context_multiple,
    divisors,
    is_tensor_size,
)
from pretrain_api.formulas.flops import flops_per_token
from pretrain_api.formulas.model_shapes import ExpertsShape, ModelShape
from pretrain_api.formulas.parameters import (
    active_parameters,
    attention_parameters,
    expert_parameters,
    ffn_parameters,
    total_parameters,
)
from pretrain_api.formulas.stages import even_stages, stage_layers
from pretrain_api.formulas.vocabulary import padded_vocabulary_size
from pretrain_api.v1alpha1.parallelism import ParallelismSpec

SIZES = st.integers(1, 12)


@st.composite
def models(draw: st.DrawFn) -> ModelShape:
    """Give models, some with experts."""
    groups, head_dim = draw(SIZES), 2 * draw(SIZES)
    heads = groups * draw(SIZES)
    experts = None
    if draw(st.booleans()):
        count = draw(st.integers(2, 16))
        top_k, width = draw(st.integers(1, count)), 8 * draw(SIZES)
        experts = ExpertsShape(count, top_k, width, 8 * draw(st.integers(0, 3)), draw(SIZES) - 1)
    return ModelShape(
        layers=draw(SIZES),
        hidden_size=heads * head_dim,
        ffn_hidden_size=8 * draw(SIZES),
        attention_heads=heads,
        query_groups=groups,
        head_dim=head_dim,
        padded_vocabulary_size=128 * draw(SIZES),
        is_tied=draw(st.booleans()),
        experts=experts,
    )


@given(model=models(), tensor=st.sampled_from([1, 2, 3, 4, 8]))
def test_tensor_parallel_shares_of_a_layer_are_whole_but_for_copied_parts(
    model: ModelShape, tensor: int
) -> None:
    if not is_tensor_size(model, tensor):
        return
    norms = 2 * model.hidden_size
    copies = max(1, tensor // model.query_groups)
    keys = 2 * model.hidden_size * model.key_width
    whole = attention_parameters(model) - norms
    shares = tensor * (attention_parameters(model, tensor) - norms)
    assert shares == whole + (copies - 1) * keys
    width = model.ffn_hidden_size
    assert tensor * ffn_parameters(model, width, tensor) == ffn_parameters(model, width)


@given(model=models())
def test_expert_parallel_shares_are_whole(model: ModelShape) -> None:
    count = model.experts.count if model.experts else 1
    for expert in divisors(count):
        assert expert * expert_parameters(model, expert) == expert_parameters(model)


@given(model=models())
def test_a_token_uses_all_parameters_only_without_spare_experts(model: ModelShape) -> None:
    total, active = total_parameters(model), active_parameters(model)
    experts = model.experts
    has_spare = experts is not None and experts.top_k < experts.count
    has_spare = has_spare and model.expert_layers(0, model.layers) > 0
    assert (active < total) == has_spare


@given(model=models(), extra=SIZES, seq_length=st.integers(1, 1000))
def test_a_longer_or_deeper_model_costs_more(
    model: ModelShape, extra: int, seq_length: int
) -> None:
    deeper = replace(model, layers=model.layers + extra)
    assert total_parameters(deeper) > total_parameters(model)
    assert flops_per_token(deeper, seq_length) > flops_per_token(model, seq_length)
    assert flops_per_token(model, seq_length + extra) > flops_per_token(model, seq_length)


@given(layers=st.integers(1, 200), cuts=st.lists(st.integers(0, 200), max_size=6))
def test_every_layer_with_experts_is_in_exactly_one_stage(layers: int, cuts: list[int]) -> None:
    model = ModelShape(layers, 8, 8, 1, 1, 8, 128, experts=ExpertsShape(2, 1, 8, dense_layers=7))
    bounds = sorted({0, layers, *(cut for cut in cuts if cut <= layers)})
    parts = [model.expert_layers(first, end) for first, end in pairwise(bounds)]
    assert sum(parts) == model.expert_layers(0, layers) == max(0, layers - 7)


@given(st.integers(1, 200_000))
def test_divisors_are_all_of_them_in_order(number: int) -> None:
    found = divisors(number)
    assert found == sorted(set(found))
    assert all(number % n == 0 for n in found)
    if number < 2000:
        assert found == [n for n in range(1, number + 1) if number % n == 0]
    assert [number // n for n in reversed(found)] == found


@given(st.integers(1, 64), st.integers(1, 64))
def test_key_value_heads_are_shared_out_whole(groups: int, tensor: int) -> None:
    """No rank holds a part of a head, and all ranks hold equally many."""
    held = [
        {
            head
            for head in range(groups)
            if head * tensor < end and (head + 1) * tensor > end - groups
        }
        for end in range(groups, (tensor + 1) * groups, groups)
    ]
    cuts = {rank * groups % tensor for rank in range(tensor)}
    is_whole = cuts == {0} or all(len(heads) == 1 for heads in held)
    assert can_split_groups(groups, tensor) == is_whole


@given(st.integers(1, 300_000), st.sampled_from([1, 2, 64, 128, 1024]))
def test_padding_is_the_least_that_is_a_multiple(size: int, multiple: int) -> None:
    rows = padded_vocabulary_size(size, multiple)
    assert rows % multiple == 0
    assert size <= rows < size + multiple


@given(st.integers(1, 64), st.integers(1, 64))
def test_context_ranks_get_equally_many_causal_scores(context: int, pieces: int) -> None:
    """Rank r takes pieces r and 2 · context - 1 - r of the sequence, if it is long enough."""
    length = context_multiple(context) * pieces
    count = 2 * context if context > 1 else 1
    piece = length // count
    ends = [sum(range(n * piece + 1, (n + 1) * piece + 1)) for n in range(count)]
    work = {ends[rank] + ends[count - 1 - rank] for rank in range(max(1, count // 2))}
    assert piece * count == length
    assert len(work) == 1


@given(
    ranks=st.integers(1, 16),
    each=st.integers(1, 12),
    counts_embedding=st.booleans(),
    counts_loss=st.booleans(),
)
def test_even_stages_hold_all_layers_and_the_ends_at_most_one_less(
    ranks: int, each: int, counts_embedding: bool, counts_loss: bool
) -> None:
    layers = ranks * each - counts_embedding - counts_loss
    if layers < 1:
        return
    stages = even_stages(layers, ranks, counts_embedding, counts_loss)
    assert sum(stages) == layers
    assert len(stages) == ranks
    assert max(stages) - min(stages) <= 1 + (ranks == 1)
    assert all(count == each for count in stages[1:-1])


@given(stages=st.lists(st.integers(0, 9), min_size=1, max_size=24), virtual=st.integers(1, 4))
def test_a_listed_cut_gives_each_rank_its_chunks(stages: list[int], virtual: int) -> None:
    pipeline = max(1, len(stages) // virtual)
    stages = (stages * virtual)[: pipeline * virtual]
    spec = ParallelismSpec.model_validate(
        {"pipeline": pipeline, "virtualPipeline": virtual, "stageLayers": stages}
    )
    cut = stage_layers(spec, sum(stages))
    assert len(cut) == pipeline
    assert sum(cut) == sum(stages)
    assert cut[0] == sum(stages[chunk * pipeline] for chunk in range(virtual))
