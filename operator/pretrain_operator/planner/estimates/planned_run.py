"""What is estimated: a model, its layout over devices, and the shape of its optimizer steps."""

from dataclasses import dataclass

from pretrain_api.formulas.divisibility import micro_batches_of, micro_step_size
from pretrain_api.formulas.model_shapes import ModelShape
from pretrain_operator.planner.estimates.layout import Layout
from pretrain_operator.planner.estimates.step_shape import StepShape


@dataclass(frozen=True)
class PlannedRun:
    """Everything that memory and time of a run depend on, but the device."""

    model: ModelShape
    layout: Layout
    step: StepShape

    @property
    def micro_batches(self) -> int:
        """Return the forward passes of a rank in an optimizer step."""
        micro_step = micro_step_size(self.step.micro_batch_size, self.layout.data_parallel)
        return micro_batches_of(self.step.global_batch_size, micro_step)

    @property
    def micro_batch_tokens(self) -> float:
        """Return the tokens of a micro-batch on one context-parallel rank."""
        return self.step.seq_length * self.step.micro_batch_size / self.layout.context

    def stage_layers(self, rank: int) -> tuple[int, int]:
        """Return the layers of a pipeline rank without experts, and those with experts."""
        first = sum(self.layout.stages[:rank])
        layers = self.layout.stages[rank]
        expert_layers = self.model.expert_layers(first, first + layers)
        return layers - expert_layers, expert_layers
