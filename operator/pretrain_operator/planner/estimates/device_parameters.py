"""Parameters on one device of a pipeline rank."""

from dataclasses import dataclass

from pretrain_api.formulas.parameters import (
    attention_parameters,
    expert_parameters,
    ffn_parameters,
    router_parameters,
)
from pretrain_operator.planner.estimates.planned_run import PlannedRun


@dataclass(frozen=True)
class DeviceParameters:
    """Parameters on one device."""

    dense: int
    """Those with a copy on each data-parallel rank."""
    expert: int
    """Those with a copy on each expert-data-parallel rank."""

    @property
    def total(self) -> int:
        """Return all parameters of the device."""
        return self.dense + self.expert


def device_parameters(run: PlannedRun, rank: int) -> DeviceParameters:
    """Return the parameters of one device of a pipeline rank."""
    model, layout = run.model, run.layout
    dense_layers, expert_layers = run.stage_layers(rank)
    dense = layout.stages[rank] * attention_parameters(model, layout.tensor)
    dense += dense_layers * ffn_parameters(model, model.ffn_hidden_size, layout.tensor)
    dense += expert_layers * router_parameters(model, layout.tensor)
    expert = expert_layers * expert_parameters(model, layout.expert, layout.expert_tensor)
    table = model.padded_vocabulary_size * model.hidden_size // layout.tensor
    if rank == 0:
        dense += table + model.learned_positions * model.hidden_size
    if rank == layout.pipeline - 1:
        has_own_output = not model.is_tied or layout.pipeline > 1
        dense += (table if has_own_output else 0) + model.hidden_size
    return DeviceParameters(dense, expert)
