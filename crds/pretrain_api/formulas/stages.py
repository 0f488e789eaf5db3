"""How the layers of a model are cut into pipeline stages.

A pipeline rank holds one stage. With a virtual pipeline that is several chunks: in the order of the
layers, chunk 0 of every rank comes first, then chunk 1 of every rank.
"""

from pretrain_api.v1alpha1.parallelism import ParallelismSpec


def stage_layers(spec: ParallelismSpec, layers: int) -> tuple[int, ...]:
    """Return the layers of each pipeline rank, over all its model chunks.

    `spec` keeps the rules about stages. Source: Megatron-core core_v0.19.0
    `core/transformer/transformer_block.py`, `get_num_layers_to_build`.
    """
    ranks = spec.pipeline
    if spec.stage_layers is not None:
        return tuple(sum(spec.stage_layers[rank::ranks]) for rank in range(ranks))
    first, last = spec.first_stage_layers, spec.last_stage_layers
    if first is None and last is None:
        return even_stages(layers, ranks, spec.count_embedding, spec.count_loss)
    middle_ranks = ranks - (first is not None) - (last is not None)
    middle_layers = layers - (first or 0) - (last or 0)
    each = middle_layers // middle_ranks if middle_ranks else 0
    stages = [each] * ranks
    stages[0] = each if first is None else first
    stages[-1] = each if last is None else last
    return tuple(stages)


def chunk_layers(spec: ParallelismSpec, layers: int) -> tuple[int, ...]:
    """Return the layers of each model chunk, in the order of the layers.

    `spec` keeps the rules about stages. Source: as `stage_layers`; an embedding or a loss that
    counts as a layer makes the first or the last chunk alone smaller.
    """
    if spec.stage_layers is not None:
        return tuple(spec.stage_layers)
    whole = list(stage_layers(spec, layers))
    whole[0] += spec.count_embedding
    whole[-1] += spec.count_loss
    chunks = [rank // spec.virtual_stages for rank in whole] * spec.virtual_stages
    chunks[0] -= spec.count_embedding
    chunks[-1] -= spec.count_loss
    return tuple(chunks)


def even_stages(
    layers: int, ranks: int, counts_embedding: bool = False, counts_loss: bool = False
) -> tuple[int, ...]:
    """Return the layers of each pipeline rank if all ranks get equally many.

    Embedding and loss may count as a layer each; their ranks then have one transformer layer less.
    """
    stages = [(layers + counts_embedding + counts_loss) // ranks] * ranks
    stages[0] -= counts_embedding
    stages[-1] -= counts_loss
    return tuple(stages)
