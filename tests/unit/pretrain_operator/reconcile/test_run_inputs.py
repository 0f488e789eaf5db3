from typing import Any

import pytest

from builders import artifact, make_body, make_object, parsed_run, ready_status, run_spec
from pretrain_api.problems import InvalidManifest
from pretrain_operator.cluster.store import Store
from pretrain_operator.reconcile.run_inputs import open_inputs

OWNER = make_object("PretrainJob", "run")
OTHER_LENGTH = {"training": {**run_spec()["training"], "sequenceLength": 64}}
SMALL_EMBEDDING = {"model": {**run_spec()["model"], "vocabularySize": 100}}


def store_with(vocabulary: int) -> Store:
    """Return a store with a dataset of sequences of 128 tokens, and its tokenizer."""
    store = Store(lambda key, matters: None)
    summary = {"sequenceLength": 128, "vocabularySize": vocabulary}
    status = ready_status("blocks", summary=summary)
    store.put("TokenDataset", make_body("TokenDataset", "blocks", status=status))
    store.put("Tokenizer", make_body("Tokenizer", "tokens", status=ready_status("tokens")))
    return store


def test_a_run_that_fits_gets_the_artifacts_of_its_dataset_and_tokenizer() -> None:
    opened = open_inputs(store_with(1024), OWNER, parsed_run(), None)
    assert opened.dataset is not None
    assert opened.tokenizer is not None
    found = (opened.dataset.uri, opened.tokenizer.uri)
    assert found == (artifact("blocks").uri, artifact("tokens").uri)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        pytest.param(OTHER_LENGTH, ["spec.training.sequenceLength"], id="sequences"),
        pytest.param(SMALL_EMBEDDING, ["spec.model.vocabularySize"], id="vocabulary"),
        pytest.param(
            OTHER_LENGTH | SMALL_EMBEDDING,
            ["spec.training.sequenceLength", "spec.model.vocabularySize"],
            id="both at once",
        ),
    ],
)
def test_inputs_that_changed_since_the_run_was_admitted_are_compared_again(
    changes: dict[str, Any], fields: list[str]
) -> None:
    with pytest.raises(InvalidManifest) as raised:
        open_inputs(store_with(1024), OWNER, parsed_run(**changes), None)
    assert [problem.split(":")[0] for problem in raised.value.problems] == fields
