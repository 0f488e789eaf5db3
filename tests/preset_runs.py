"""PretrainJobs of published models on H100, for tests of the planner."""

from typing import Any

from pretrain_api.problems import parse
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec

H100 = ComputeProfileSpec.model_validate({"accelerator": {"name": "h100", "perNode": 8}})


def preset_run(
    parallelism: dict[str, Any], preset: str = "llama3-8b", **training: Any
) -> PretrainJobSpec:
    """Return the spec of a run of a preset."""
    return parse(
        PretrainJobSpec,
        {
            "model": {"preset": preset},
            "data": {"datasetRef": {"name": "blocks"}},
            "parallelism": parallelism,
            "training": {
                "tokens": "100G",
                "sequenceLength": 8192,
                "globalBatchSize": 512,
                **training,
            },
            "checkpoint": {"uri": "s3://checkpoints/run"},
        },
    )
