"""Patches how Megatron-core's distributed optimizer loads the states of torch's AdamW.

Megatron-core is written for the fused Adam of Transformer Engine or Apex, which counts steps once
for each group. torch's AdamW counts them in a tensor of each parameter, and four things go wrong:
a fresh optimizer has no states to load into; the step is treated as a state of the parameter's
shape; leaf tensors that need gradients are changed in place; and all parameters get the same step
tensor, which then silently grows by their number in each step.
"""

from typing import Any

import torch
from megatron.core.optimizer.distrib_optimizer import DistributedOptimizer

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

    DistributedOptimizer._get_main_param_and_optimizer_states = shaped_states
    DistributedOptimizer._set_main_param_and_optimizer_states = set_states
    DistributedOptimizer.load_state_dict = load_state_dict
    DistributedOptimizer.sharded_state_dict = sharded_state_dict
