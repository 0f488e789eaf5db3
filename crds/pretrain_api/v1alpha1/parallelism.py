"""Degrees of parallelism; the data-parallel size follows from them and the devices."""

from typing import Annotated

from pydantic import Field

from pretrain_api.meta import ApiModel

Degree = Annotated[int, Field(ge=1, le=4096)]

DEGREES = ("tensor", "pipeline", "virtual_pipeline", "context", "expert", "expert_tensor")
"""Fields that the planner chooses when the manifest has none of them."""


class ParallelismSpec(ApiModel):
    """How the model is spread over devices.

    If none of `tensor`, `pipeline`, `virtualPipeline`, `context`, `expert` and `expertTensor` is
    set, the planner chooses them and writes them to `status.plan.parallelism`.
    """

    nodes: Annotated[int, Field(ge=1, le=65536)] = 1
    """Nodes, each one pod."""

    gpus_per_node: Annotated[int, Field(ge=1, le=256)] | None = None
    """Training processes (each with one device) on a node. Unset means the profile's."""

    tensor: Degree = 1
    """Tensor-parallel size: devices that share every layer."""

    pipeline: Degree = 1
    """Pipeline-parallel size: stages that the layers are cut into."""

    virtual_pipeline: Degree | None = None
    """Model chunks of each pipeline rank (interleaved schedule). Unset means one."""

    context: Degree = 1
    """Context-parallel size: devices that share every sequence."""

    expert: Degree = 1
    """Expert-parallel size: devices that share the experts of every layer."""

    expert_tensor: Degree | None = None
    """Tensor-parallel size inside an expert. Unset means 1 (Megatron-core would take `tensor`)."""

    first_stage_layers: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Layers of the first pipeline rank. Unset means as many as the ranks in the middle."""

    last_stage_layers: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Layers of the last pipeline rank. Unset means as many as the ranks in the middle."""

    count_embedding: bool = False
    """Whether the embedding counts as a layer when the layers are cut into stages."""

    count_loss: bool = False
    """Whether the output layer and loss count as a layer when the layers are cut into stages."""

    stage_layers: (
        Annotated[list[Annotated[int, Field(ge=0, le=1024)]], Field(min_length=1, max_length=256)]
        | None
    ) = None
    """Layers of every stage, in the order that a token passes them (`pipeline` ·
    `virtualPipeline` numbers). Unset means even stages, or those of the fields above."""

    sequence: bool = False
    """Whether activations outside the tensor-parallel regions are split along the sequence."""

    distributed_optimizer: bool = True
    """Whether optimizer states are spread over the data-parallel ranks (ZeRO-1)."""

    @property
    def is_left_to_planner(self) -> bool:
        """Return whether the manifest gave no degree at all."""
        return not self.model_fields_set & set(DEGREES)

    @property
    def virtual_stages(self) -> int:
        """Return the model chunks of a pipeline rank."""
        return self.virtual_pipeline or 1

    @property
    def expert_tensor_size(self) -> int:
        """Return the tensor-parallel size inside an expert."""
        return self.expert_tensor or 1
