from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.v1alpha1.pipeline.models import QualityFloor, QualityModel
from pretrain_workloads.data.quality_floors import beyond_fraction, floor_of

NOT_A_NUMBER = float("nan")


def below(fraction: float, qualities: list[float], first: list[int] | None = None) -> list[int]:
    """Return the documents that are not in the best `fraction`."""
    floors = [QualityFloor(fraction=fraction)]
    entries = np.zeros(len(qualities), np.int64)
    firsts = np.array(first or range(len(qualities)), np.uint32)
    lost = beyond_fraction(floors, entries, firsts, np.array(qualities, np.float32))
    return np.flatnonzero(lost).tolist()


@pytest.mark.parametrize(
    ("what", "arguments", "want"),
    [
        ("the best stay", (0.5, [0.1, 0.9, 0.8, 0.2]), [0, 3]),
        ("among equals the first", (0.5, [0.5, 0.5, 0.5, 0.5]), [2, 3]),
        ("all may stay", (1.0, [0.1, 0.2]), []),
        ("none may stay", (0.0, [0.1, 0.2]), [0, 1]),
        ("without a score nothing is dropped", (0.0, [NOT_A_NUMBER, 0.2]), [1]),
        ("copies do not count", (0.5, [0.9, 0.9, 0.9, 0.1], [0, 0, 0, 3]), [3]),
        ("copies go with the first", (0.5, [0.1, 0.1, 0.9, 0.1], [0, 0, 2, 0]), [0, 1, 3]),
    ],
)
def test_a_fraction_keeps_the_best(what: str, arguments: tuple[Any, ...], want: list[int]) -> None:
    assert below(*arguments) == want, what


@given(
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=60),
    st.floats(0, 1),
)
def test_what_stays_is_as_much_as_asked_and_no_worse(scores: list[float], share: float) -> None:
    lost = set(below(share, scores))
    kept = [score for row, score in enumerate(scores) if row not in lost]
    assert len(kept) == round(share * len(scores))
    if kept and lost:
        assert min(kept) >= max(scores[row] for row in lost)


def test_the_first_entry_that_fits_counts() -> None:
    floors = [
        QualityFloor(languages=["zh"], minimum=0.5),
        QualityFloor(domains=["web"], minimum=0.2),
        QualityFloor(languages=["zh", "en"], minimum=0.1),
    ]
    found = floor_of(floors, ["zh", "en", "en", "fr"], ["web", "web", "law", "law"])
    assert found.tolist() == [0, 1, 2, -1]


@pytest.mark.parametrize("limits", [{}, {"minimum": 0.1, "fraction": 0.5}])
def test_an_entry_has_one_limit(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="exactly one of minimum and fraction"):
        QualityFloor.model_validate(limits)


def test_a_model_has_one_origin() -> None:
    source = {"name": "s", "uri": "s3://b/a.jsonl"}
    with pytest.raises(ValueError, match="both good and bad"):
        QualityModel.model_validate({"good": [source]})
    with pytest.raises(ValueError, match="either good and bad, or onnx"):
        QualityModel.model_validate({"good": [source], "bad": [source], "onnx": {"uri": "s3://m"}})
