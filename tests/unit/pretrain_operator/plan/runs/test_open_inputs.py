from typing import Any

import pytest

from builders import artifact, make_body, make_observed_run, parsed_run, ready_status, run_spec
from pretrain_api.problems import InvalidManifest
from pretrain_api.v1alpha1.pretrainjob import AttemptStatus, PretrainJobStatus
from pretrain_operator.observed.objects import ListedObjects, parse_object
from pretrain_operator.plan.runs.observed_run import ObservedRun
from pretrain_operator.plan.runs.run_inputs import open_inputs

OTHER_LENGTH = {"training": {**run_spec()["training"], "sequenceLength": 64}}
SMALL_EMBEDDING = {"model": {**run_spec()["model"], "vocabularySize": 100}}


def run_with_inputs(vocabulary: int, **changes: Any) -> ObservedRun:
    """Return a run, a dataset of sequences of 128 tokens, and a tokenizer of `vocabulary` ids."""
    summary = {"sequenceLength": 128, "vocabularySize": vocabulary}
    bodies = (
        make_body("TokenDataset", "blocks", status=ready_status("blocks", summary=summary)),
        make_body("Tokenizer", "tokens", status=ready_status("tokens")),
    )
    related = ListedObjects(parse_object(body["kind"], body) for body in bodies)
    status = PretrainJobStatus(attempts=[AttemptStatus(number=1, job="run-a1")])
    return make_observed_run(spec=parsed_run(**changes), related=related, status=status)


def test_a_run_that_fits_gets_the_artifacts_of_its_dataset_and_tokenizer() -> None:
    opened = open_inputs(run_with_inputs(1024))
    uris = (opened.dataset.uri, opened.tokenizer.uri)
    assert uris == (artifact("blocks").uri, artifact("tokens").uri)


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
def test_inputs_are_compared_again_when_an_attempt_starts(
    changes: dict[str, Any], fields: list[str]
) -> None:
    with pytest.raises(InvalidManifest) as raised:
        open_inputs(run_with_inputs(1024, **changes))
    assert [problem.split(":")[0] for problem in raised.value.problems] == fields
