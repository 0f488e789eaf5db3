"""Degrees of parallelism; the data-parallel size is what is left over."""

from typing import Annotated

from pydantic import Field

from pretrain_api.meta import ApiModel, Positive

Degree = Annotated[int, Field(ge=1, le=4096)]


class ParallelismSpec(ApiModel):
    """How the model is spread over devices."""

    nodes: Annotated[int, Field(ge=1, le=65536)] = 1
    """Nodes, each one pod."""

    gpus_per_node: Positive | None = None
    """Training processes (each with one device) on a node. Unset means the profile's."""

    tensor: Degree = 1
    """Tensor-parallel size: devices that share every layer."""

    pipeline: Degree = 1
    """Pipeline-parallel size: stages that the layers are cut into."""

    virtual_pipeline: Degree | None = None
    """Model chunks of each pipeline rank (interleaved schedule). Unset means one."""

    context: Degree = 1
    """Context-parallel size: devices that share every sequence."""

    sequence: bool = False
    """Whether activations outside the tensor-parallel regions are split along the sequence."""

    distributed_optimizer: bool = True
    """Whether optimizer states are spread over the data-parallel ranks (ZeRO-1)."""
