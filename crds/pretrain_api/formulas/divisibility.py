"""Which sizes of a run must divide which, for code that cannot evaluate CEL or searches many sizes.

The rules of `pretrain_api.rules` say the same in CEL, with the messages that users read. A property
test (`tests/unit/test_divisibility.py`) holds rules, planner and trainer together.
"""

from pretrain_api.formulas.model_shapes import ModelShape

FP8_MULTIPLE = 16
"""Transformer Engine multiplies fp8 matrices whose sizes are multiples of this. Source: Megatron-LM
core_v0.19.0 `core/fp8_utils.py`."""


def divisors(number: int) -> list[int]:
    """Return the divisors of a positive number, in ascending order."""
    small = [n for n in range(1, int(number**0.5) + 1) if number % n == 0]
    return sorted({*small, *(number // n for n in small)})


def model_parallel_size(tensor: int, pipeline: int, context: int) -> int:
    """Return the devices that share one copy of the model; it must divide the world size."""
    return tensor * pipeline * context


def data_parallel_size(world_size: int, model_parallel: int) -> int:
    """Return the copies of the model that train side by side.

    At least 1, so that the other sizes of a world that is too small can be checked too.
    """
    return max(1, world_size // model_parallel)


def expert_parallel_size(expert_tensor: int, expert: int, pipeline: int) -> int:
    """Return the devices that share one copy of all experts; it must divide the world size.

    Context parallelism is no factor. Source: Megatron-LM core_v0.19.0 `core/parallel_state.py`.
    """
    return expert_tensor * expert * pipeline


def tensor_split_sizes(model: ModelShape) -> dict[str, int]:
    """Return the sizes that the tensor-parallel size must divide, by their field of `spec.model`.

    Key-value heads and vocabulary are not among them: `can_split_groups`, `can_split_vocabulary`.
    Source: Megatron-LM core_v0.19.0 `core/tensor_parallel/layers.py`.
    """
    sizes = {
        "attentionHeads": model.attention_heads,
        "ffnHiddenSize": model.ffn_hidden_size,
    }
    if model.experts is not None:
        sizes["experts.sharedFfnHiddenSize"] = model.experts.shared_ffn_hidden_size
    return sizes


def can_split_groups(query_groups: int, tensor: int) -> bool:
    """Return whether each tensor-parallel rank gets whole key-value heads, or shares one.

    Source: Megatron-LM core_v0.19.0 `core/transformer/transformer_config.py`.
    """
    return query_groups % tensor == 0 or tensor % query_groups == 0


def can_split_vocabulary(padded_vocabulary_size: int, tensor: int) -> bool:
    """Return whether each tensor-parallel rank gets equally many rows of the embedding.

    Source: Megatron-LM core_v0.19.0 `core/tensor_parallel/utils.py`.
    """
    return padded_vocabulary_size % tensor == 0


def is_tensor_size(model: ModelShape, tensor: int) -> bool:
    """Return whether a model can be split over `tensor` devices."""
    return (
        all(size % tensor == 0 for size in tensor_split_sizes(model).values())
        and can_split_groups(model.query_groups, tensor)
        and can_split_vocabulary(model.padded_vocabulary_size, tensor)
    )


def context_multiple(context: int) -> int:
    """Return the number of tokens that a sequence must be a multiple of.

    Each context-parallel rank takes two pieces, one from either half, so that all compute equally
    many causal scores. Source: Megatron-LM core_v0.19.0 `training/arguments.py`.
    """
    return 2 * context if context > 1 else 1


def can_split_sequence(seq_length: int, tensor: int, context: int) -> bool:
    """Return whether sequence parallelism can split a sequence of `seq_length` tokens.

    Source: Megatron-LM core_v0.19.0 `core/tensor_parallel/mappings.py`.
    """
    return seq_length % (tensor * context) == 0


def micro_step_size(micro_batch_size: int, data_parallel: int) -> int:
    """Return the sequences of one forward pass of all ranks; it must divide the global batch."""
    return micro_batch_size * data_parallel


def micro_batches_of(global_batch_size: int, micro_step: int) -> int:
    """Return the forward passes of a rank in an optimizer step; `micro_step` is of all ranks."""
    return max(1, global_batch_size // micro_step)


def can_interleave(micro_batches: int, pipeline: int, virtual: int) -> bool:
    """Return whether the pipeline schedule can run `micro_batches` in a step.

    With several chunks a rank (`virtual` > 1), chunks take `pipeline` micro-batches in turn.
    Source: Megatron-LM core_v0.19.0 `core/pipeline_parallel/schedules.py`.
    """
    return virtual == 1 or micro_batches % pipeline == 0


def can_chunk(pipeline: int, virtual: int) -> bool:
    """Return whether pipeline ranks may have `virtual` model chunks: that needs several ranks."""
    return virtual == 1 or pipeline > 1


def has_fp8_weights(model: ModelShape, tensor: int) -> bool:
    """Return whether every weight's share of a device has sizes that fp8 products can take."""
    sizes = (
        model.hidden_size,
        model.ffn_hidden_size // tensor,
        model.query_width // tensor,
        (model.query_width + 2 * model.key_width) // tensor,
    )
    return all(size % FP8_MULTIPLE == 0 for size in sizes)


def has_fp8_tokens(micro_batch_tokens: int, context: int, sequence_split: int) -> bool:
    """Return whether the tokens of a micro-batch on one rank can be a side of fp8 products.

    `sequence_split` is the tensor-parallel size with sequence parallelism, and 1 without.
    """
    return micro_batch_tokens // (context * sequence_split) % FP8_MULTIPLE == 0
