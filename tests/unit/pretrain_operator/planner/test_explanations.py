"""Why a layout was not chosen: illegal, too large or slower."""

import pytest

from preset_runs import H100, preset_run
from pretrain_api.problems import InvalidManifest
from pretrain_operator.planner.explanations import explain, parse_degrees

EXPLANATIONS = {
    "tensor=3": "is not divisible by parallelism.tensor = 3",
    "tensor=16": "beyond the 8 devices of a node",
    "tensor=1,pipeline=1": "none of which fits",
    "tensor=8": "slower than the best",
}


@pytest.mark.parametrize("wanted", EXPLANATIONS)
def test_why_not_is_answered(wanted: str) -> None:
    spec = preset_run({"nodes": 4}, "llama3-70b")
    lines = explain(spec, H100, parse_degrees(wanted))
    assert EXPLANATIONS[wanted] in "\n".join(lines)


@pytest.mark.parametrize("text", ["", "tensor", "tensor=0", "tensor=x", "nodes=3", "tensor=²"])
def test_degrees_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InvalidManifest, match="is no degree"):
        parse_degrees(text)
