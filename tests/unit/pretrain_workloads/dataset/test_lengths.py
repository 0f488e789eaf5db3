import numpy as np
import pytest

from data_runs import dataset_spec
from pretrain_api.v1alpha1.tokendataset import TokenDatasetSpec
from pretrain_workloads.dataset.lengths import (
    block_sequences,
    check_lengths,
    dataset_sequences,
    stream_tokens,
    validation_sequences,
)
from pretrain_workloads.dataset.mixture import USE
from pretrain_workloads.failures import UserError


def spec(**changes: object) -> TokenDatasetSpec:
    return TokenDatasetSpec.model_validate(dataset_spec("file:///pretrain/data") | changes)


@pytest.mark.parametrize("field", ["tokens", "blockTokens"])
def test_less_than_one_sequence_is_refused_with_the_least_that_would_do(field: str) -> None:
    with pytest.raises(UserError, match=rf"spec.{field}: 127 is less .* 128 tokens; use 128"):
        check_lengths(spec(**{field: 127}))
    check_lengths(spec(**{field: 128}))


def test_only_whole_sequences_count() -> None:
    assert (dataset_sequences(spec(tokens=383)), block_sequences(spec(blockTokens=383))) == (2, 2)


@pytest.mark.parametrize(("tokens", "want"), [([], 0), ([8], 0), ([8, 1], 1), ([10, 7], 2)])
def test_the_validation_set_has_a_target_for_its_last_token(tokens: list[int], want: int) -> None:
    uses = np.zeros(len(tokens), USE)
    uses["tokens"] = tokens
    assert validation_sequences(uses, 8) == want
    assert sum(tokens) >= stream_tokens(want, 8) or not want
