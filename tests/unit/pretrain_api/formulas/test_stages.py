"""Layers of each pipeline rank: as Megatron-core cuts them."""

from typing import Any

import pytest

from pretrain_api.formulas.stages import stage_layers
from pretrain_api.v1alpha1.parallelism import ParallelismSpec

CUTS: dict[str, tuple[dict[str, Any], int, tuple[int, ...]]] = {
    "even": ({"pipeline": 4}, 32, (8, 8, 8, 8)),
    "ends counted": ({"pipeline": 4, "countEmbedding": True, "countLoss": True}, 30, (7, 8, 8, 7)),
    "loss counted": ({"pipeline": 4, "countLoss": True}, 31, (8, 8, 8, 7)),
    "first given": ({"pipeline": 3, "firstStageLayers": 2}, 10, (2, 4, 4)),
    "both given": (
        {"pipeline": 4, "firstStageLayers": 1, "lastStageLayers": 3},
        10,
        (1, 3, 3, 3),
    ),
    "listed": (
        {"pipeline": 2, "virtualPipeline": 2, "stageLayers": [1, 2, 3, 4]},
        10,
        (4, 6),
    ),
}


@pytest.mark.parametrize("name", CUTS)
def test_layers_are_cut_as_megatron_core_cuts_them(name: str) -> None:
    fields, layers, want = CUTS[name]
    assert stage_layers(ParallelismSpec.model_validate(fields), layers) == want
