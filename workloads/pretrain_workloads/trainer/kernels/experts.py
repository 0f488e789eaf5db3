"""The experts of a rank, whose weights are one tensor for each of their two layers.

Shapes: `E` experts of this rank, `N` tokens of all of them in the order of the experts, `H` hidden
size, `F` columns of an expert on this rank.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from megatron.core.dist_checkpointing.mapping import ShardedTensor, ShardedTensorFactory
from megatron.core.transformer.module import MegatronModule
from torch.nn.functional import silu

from pretrain_workloads.trainer.kernels.devices import fused
from pretrain_workloads.trainer.kernels.grouped_linear import grouped_linear
from pretrain_workloads.trainer.kernels.recomputation import forget, is_selective


class GroupedExperts(MegatronModule):  # type: ignore[misc]
    """SwiGLU experts, each of which computes its own tokens.

    A checkpoint holds the weights of all ranks' experts as one tensor, `[experts, rows, columns]`,
    as upstream's own experts do.
    """

    def __init__(
        self, num_local_experts: int, config: Any, pg_collection: Any, name: str | None = None
    ) -> None:
        super().__init__(config=config)
        self._ranks, self._tensor_ranks = pg_collection.ep, pg_collection.expt_tp
        self._replicas = pg_collection.expt_dp
        width = config.moe_ffn_hidden_size // self._tensor_ranks.size()
        self.linear_fc1 = _weight(config, num_local_experts, 2 * width, config.hidden_size)
        self.linear_fc2 = _weight(config, num_local_experts, config.hidden_size, width)

    def forward(
        self,
        hidden_NH: torch.Tensor,  # noqa: N803
        tokens_E: torch.Tensor,  # noqa: N803
        probabilities_N: torch.Tensor,  # noqa: N803
    ) -> tuple[torch.Tensor, None]:
        """Return what the experts make of their tokens, `[N, H]`, and that there is no bias.

        Args:
            hidden_NH: The tokens, sorted by expert.
            tokens_E: How many of them each expert gets.
            probabilities_N: What the router gives each token's result.
        """
        gates_NF = grouped_linear(hidden_NH, self.linear_fc1, tokens_E)  # noqa: N806
        recipe = partial(weighted_swiglu, gates_NF, probabilities_N)
        inner_NF = recipe()  # noqa: N806
        output_NH = grouped_linear(inner_NF, self.linear_fc2, tokens_E)  # noqa: N806
        if is_selective(self.config):
            forget(inner_NF, recipe, output_NH)
        return output_NH, None

    def sharded_state_dict(
        self, prefix: str = "", sharded_offsets: tuple[Any, ...] = (), metadata: Any = None
    ) -> dict[str, ShardedTensorFactory]:
        """Return the slices of each expert: gate and other half of the first layer are apart."""
        del sharded_offsets, metadata
        halves = {"linear_fc1": 2, "linear_fc2": 1}
        return {
            prefix + name: self._sharded(f"{prefix}experts.{name}.weight", getattr(self, name), n)
            for name, n in halves.items()
        }

    def _sharded(self, key: str, weight: torch.Tensor, halves: int) -> ShardedTensorFactory:
        def build(key: str, data: torch.Tensor, replica: Any, _: object) -> list[ShardedTensor]:
            return [
                ShardedTensor.from_rank_offsets(
                    key, part, *offsets, replica_id=replica, prepend_axis_num=1
                )
                for part, offsets in self._slices(data, halves)
            ]

        def merge(parts: list[torch.Tensor]) -> torch.Tensor:
            return torch.stack(parts).view_as(weight)

        return ShardedTensorFactory(key, weight, build, merge, (0, 0, self._replicas.rank()))

    def _slices(self, data: torch.Tensor, halves: int) -> Iterator[tuple[torch.Tensor, Any]]:
        """Yield each half of each expert, and its place: (axis, number of the slice, slices)."""
        count, tensor = len(data) * self._ranks.size(), self._tensor_ranks
        cut_axis = 1 if halves == 2 else 2
        for number, expert in enumerate(data.detach(), len(data) * self._ranks.rank()):
            for half, part in enumerate(expert.chunk(halves)):
                place = half * tensor.size() + tensor.rank()
                yield part, ((0, number, count), (cut_axis, place, halves * tensor.size()))


def _weight(config: Any, *shape: int) -> torch.nn.Parameter:
    """Return a weight that is not drawn yet, with the marks that Megatron-core looks for."""
    parameter: Any = torch.nn.Parameter(torch.empty(*shape, dtype=config.params_dtype))
    # In buffers of their own for any expert-parallel size, so that a checkpoint fits all.
    parameter.allreduce = False
    parameter.tensor_model_parallel = True
    return parameter  # type: ignore[no-any-return]


@fused
def weighted_swiglu(
    gates_NF: torch.Tensor,  # noqa: N803
    weights_N: torch.Tensor,  # noqa: N803
) -> torch.Tensor:
    """Return SwiGLU of each token times the token's weight; `[N, 2 · F]` becomes `[N, F]`."""
    gate, other = gates_NF.chunk(2, dim=-1)
    return (silu(gate) * other * weights_N[:, None]).to(gates_NF.dtype)
