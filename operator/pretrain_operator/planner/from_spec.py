"""The layout and the step that the fields of a PretrainJob describe."""

from pretrain_api.formulas.stages import stage_layers
from pretrain_api.v1alpha1.parallelism import ParallelismSpec
from pretrain_api.v1alpha1.training import TrainingSpec
from pretrain_operator.planner.estimates.layout import Layout
from pretrain_operator.planner.estimates.step_shape import StepShape


def layout_of(spec: ParallelismSpec, layers: int, devices_per_node: int) -> Layout:
    """Return the layout of a spec that keeps the rules.

    `devices_per_node` holds where the spec does not set `gpusPerNode`.
    """
    return Layout(
        world_size=spec.nodes * (spec.gpus_per_node or devices_per_node),
        stages=stage_layers(spec, layers),
        tensor=spec.tensor,
        virtual=spec.virtual_stages,
        context=spec.context,
        expert=spec.expert,
        expert_tensor=spec.expert_tensor_size,
        sequence_parallel=spec.sequence and spec.tensor > 1,
        distributed_optimizer=spec.distributed_optimizer,
    )


def step_shape_of(spec: TrainingSpec) -> StepShape:
    """Return the shape of the run's first optimizer step, and which sizes change later."""
    phase = spec.long_context
    later_batch_sizes = [batch.global_batch_size for batch in spec.batch_schedule or ()]
    if phase is not None and phase.global_batch_size is not None:
        later_batch_sizes.append(phase.global_batch_size)
    return StepShape(
        micro_batch_size=spec.micro_batch_size,
        global_batch_size=spec.global_batch_size,
        seq_length=spec.sequence_length,
        recompute=spec.recompute,
        precision=spec.precision,
        later_batch_sizes=tuple(later_batch_sizes),
        later_seq_length=None if phase is None else phase.sequence_length,
    )
