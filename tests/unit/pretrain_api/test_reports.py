"""What pods report may be anything; what the API server would refuse is refused before."""

from typing import Any

import pytest
from pydantic import ValidationError

from pretrain_api.meta import LARGEST_INTEGER
from pretrain_api.reports import CAUSES, ExitClass, ExitReport
from pretrain_api.v1alpha1.progress import Progress
from pretrain_api.v1alpha1.tokendataset import DatasetSummary
from pretrain_api.v1alpha1.tokenizer import TokenizerSummary


def test_every_class_has_its_place_among_the_causes() -> None:
    assert sorted(CAUSES) == sorted(ExitClass)


@pytest.mark.parametrize("value", [LARGEST_INTEGER + 1, 10**400, -1, 1e30])
@pytest.mark.parametrize(
    ("model", "field"),
    [
        (Progress, "step"),
        (Progress, "tokens"),
        (Progress, "totalSteps"),
        (ExitReport, "peakMemoryBytes"),
        (DatasetSummary, "tokens"),
        (TokenizerSummary, "vocabularySize"),
    ],
)
def test_a_number_that_kubernetes_does_not_store_is_refused(
    model: Any, field: str, value: float
) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate({field: value})
    assert field in {error["loc"][0] for error in refused.value.errors()}


def test_the_largest_integer_is_taken() -> None:
    assert Progress(step=LARGEST_INTEGER).step == LARGEST_INTEGER
    counts = {"read": LARGEST_INTEGER + 1}
    with pytest.raises(ValidationError, match="largest integer of Kubernetes"):
        ExitReport(exit_class=ExitClass.COMPLETE, counts=counts)
