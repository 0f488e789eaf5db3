"""What a PretrainJob's spec means to the estimates."""

from pretrain_api.v1alpha1.model import ExpertsSpec, ModelSpec
from pretrain_api.v1alpha1.parallelism import ParallelismSpec
from pretrain_api.v1alpha1.training import TrainingSpec
from pretrain_operator.planner.estimates.setup import Experts, Layout, Model, Work
from pretrain_operator.planner.estimates.sizes import padded_vocabulary


def model_of(spec: ModelSpec, vocabulary: int) -> Model:
    """Return the model of `vocabulary` ids; our padding does not depend on the layout."""
    experts = spec.experts
    return Model(
        layers=spec.layers,
        hidden=spec.hidden_size,
        ffn=spec.ffn_hidden_size,
        heads=spec.attention_heads,
        groups=spec.key_value_heads,
        head_dim=max(1, spec.head_width),
        vocabulary=padded_vocabulary(vocabulary, 1),
        is_tied=spec.tie_embeddings,
        experts=None if experts is None else _experts_of(experts),
    )


def _experts_of(spec: ExpertsSpec) -> Experts:
    return Experts(
        spec.count,
        spec.top_k,
        spec.ffn_hidden_size,
        spec.shared_ffn_hidden_size or 0,
        spec.dense_layers,
    )


def layout_of(spec: ParallelismSpec, layers: int, devices_per_node: int) -> Layout:
    """Return the layout of a spec that keeps the rules."""
    return Layout(
        world=spec.nodes * (spec.gpus_per_node or devices_per_node),
        stages=stage_layers(spec, layers),
        tensor=spec.tensor,
        virtual=spec.virtual_stages,
        context=spec.context,
        expert=spec.expert,
        expert_tensor=spec.expert_tensor_size,
        sequence=spec.sequence and spec.tensor > 1,
        distributed_optimizer=spec.distributed_optimizer,
    )


def work_of(spec: TrainingSpec) -> Work:
    """Return the work of an optimizer step."""
    return Work(
        micro_batch=spec.micro_batch_size,
        global_batch=spec.global_batch_size,
        sequence=spec.sequence_length,
        recompute=spec.recompute,
        precision=spec.precision,
    )


def stage_layers(spec: ParallelismSpec, layers: int) -> tuple[int, ...]:
    """Return the layers of each pipeline rank, over all its chunks.

    Source: the cuts of Megatron-core's `get_num_layers_to_build`.
    """
    ranks = spec.pipeline
    if spec.stage_layers is not None:
        return tuple(sum(spec.stage_layers[rank::ranks]) for rank in range(ranks))
    first, last = spec.first_stage_layers, spec.last_stage_layers
    if first is not None or last is not None:
        given = (first or 0) + (last or 0)
        middle = ranks - (first is not None) - (last is not None)
        each = (layers - given) // middle if middle else 0
        stages = [each] * ranks
        stages[0] = each if first is None else first
        stages[-1] = each if last is None else last
        return tuple(stages)
    stages = [(layers + spec.count_embedding + spec.count_loss) // ranks] * ranks
    stages[0] -= spec.count_embedding
    stages[-1] -= spec.count_loss
    return tuple(stages)
