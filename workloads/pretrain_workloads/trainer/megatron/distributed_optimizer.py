"""Patches how Megatron-core's distributed optimizer saves and loads the states of torch's AdamW.

Saving: Megatron-core gathers all states on every data-parallel rank, which needs 12 bytes a
parameter on each. Here each rank names the boxes of the whole tensors that it holds, and neither
sends nor copies anything; a run of any other layout reads the boxes that it needs.

Loading: Megatron-core is written for the fused Adam of Transformer Engine or Apex, which counts
steps once for each group. torch's AdamW counts them in a tensor of each parameter, and four things
go wrong: a fresh optimizer has no states to load into; the step is treated as a state of the
parameter's shape; leaf tensors that need gradients are changed in place; and all parameters get the
same step tensor, which then silently grows by their number in each step.
"""

from collections.abc import Iterator
from typing import Any

import torch
from megatron.core.dist_checkpointing.dict_utils import nested_values
from megatron.core.dist_checkpointing.mapping import ShardedTensor, ShardedTensorFactory
from megatron.core.optimizer.distrib_optimizer import DistributedOptimizer

from pretrain_workloads.trainer.megatron.flat_boxes import boxes
from pretrain_workloads.trainer.megatron.weights import with_all_axes

_STEP = "step"


def patch() -> None:
    """Apply all patches. The second call changes nothing."""
    if getattr(DistributedOptimizer, "loads_adamw", False):
        return
    DistributedOptimizer.loads_adamw = True
    states = DistributedOptimizer._get_main_param_and_optimizer_states
    load = DistributedOptimizer.load_state_dict
    sharded = DistributedOptimizer.sharded_state_dict

    def shaped_states(self: Any, parameter: Any) -> dict[str, torch.Tensor]:
        return {name: value for name, value in states(self, parameter).items() if name != _STEP}

    @torch.no_grad()
    def set_states(self: Any, parameter: Any, tensors: dict[str, torch.Tensor]) -> None:
        for name, target in shaped_states(self, parameter).items():
            target.copy_(tensors[name])

    def load_state_dict(self: Any, state_dict: Any) -> None:
        load(self, state_dict)
        for state in self.optimizer.state.values():
            if torch.is_tensor(state.get(_STEP)):
                state[_STEP] = state[_STEP].clone()

    def sharded_state_dict(self: Any, model: Any, is_loading: bool = False, **options: Any) -> Any:
        if is_loading and not self.optimizer.state:
            self._init_optimizer_states_with_dummy_values()
        return sharded(self, model, is_loading=is_loading, **options)

    DistributedOptimizer.sharded_param_state_fully_reshardable = _sharded_boxes
    DistributedOptimizer.load_parameter_state_from_fully_reshardable = _load_boxes
    DistributedOptimizer._get_main_param_and_optimizer_states = shaped_states
    DistributedOptimizer._set_main_param_and_optimizer_states = set_states
    DistributedOptimizer.load_state_dict = load_state_dict
    DistributedOptimizer.sharded_state_dict = sharded_state_dict


def _sharded_boxes(
    optimizer: Any, model: Any, is_loading: bool = False, metadata: Any = None
) -> dict[int, dict[str, list[ShardedTensor]]]:
    """Return the boxes that this rank holds of each state, by the number of the parameter."""
    del is_loading, metadata
    whole = {id(one.data): one for one in nested_values(model) if _is_sharded(one)}
    return {
        number: {
            name: list(_boxes_of(whole[id(parameter)], start, tensor, name))
            for name, tensor in optimizer._get_main_param_and_optimizer_states(parameter).items()
        }
        for number, (parameter, start) in enumerate(_held(optimizer))
    }


def _load_boxes(optimizer: Any, states: dict[int, dict[str, list[torch.Tensor]]]) -> None:
    """Copy the boxes into the states, unless they were loaded in place."""
    for number, (parameter, _) in enumerate(_held(optimizer)):
        for name, target in optimizer._get_main_param_and_optimizer_states(parameter).items():
            left = target.detach().view(-1)
            for box in states[number][name]:
                part, left = left[: box.numel()], left[box.numel() :]
                if part.data_ptr() != box.data_ptr():
                    part.copy_(box.reshape(-1))


def _held(optimizer: Any) -> Iterator[tuple[Any, int]]:
    """Yield each parameter that this rank holds a range of, and where the range starts."""
    for of_buffer in optimizer.gbuf_ranges:
        for of_buckets in of_buffer.values():
            for of_bucket in of_buckets:
                for parameter, ranges in of_bucket["param_map"].items():
                    yield parameter, ranges["param"].start


def _is_sharded(value: object) -> bool:
    return isinstance(value, ShardedTensor | ShardedTensorFactory)


def _boxes_of(
    whole: ShardedTensor | ShardedTensorFactory, start: int, held: torch.Tensor, name: str
) -> Iterator[ShardedTensor]:
    """Yield the boxes of `held`, this rank's range of a flattened parameter, from `start` on.

    Args:
        whole: The parameter's place in the model. A factory makes several tensors of it, such as
            the two matrices of SwiGLU.
    """
    parts = whole.build() if isinstance(whole, ShardedTensorFactory) else [whole]
    for part in nested_values(parts):
        bytes_before = part.data.data_ptr() - whole.data.data_ptr()
        before = bytes_before // whole.data.element_size()
        first = max(start - before, 0)
        stop = min(start + held.numel() - before, part.data.numel())
        for box in boxes(tuple(with_all_axes(part).shape), first, stop):
            at = before - start
            yield ShardedTensor(
                key=f"optimizer.state.{name}.{part.key}",
                data=held.view(-1)[box.start + at : box.stop + at].view(box.shape),
                dtype=held.dtype,
                local_shape=box.shape,
                global_shape=part.global_shape,
                global_offset=tuple(map(sum, zip(part.global_offset, box.offset, strict=True))),
                axis_fragmentations=None,  # the boxes of all ranks are no regular grid
                replica_id=(*part.replica_id[:2], 0),
                allow_shape_mismatch=part.allow_shape_mismatch,
            )
