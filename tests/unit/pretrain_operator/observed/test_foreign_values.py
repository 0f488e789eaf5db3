"""Values that other clients have written into labels, annotations, specs and statuses."""

import pytest

from builders import make_body
from pretrain_operator.observed.jobs import parse_job
from pretrain_operator.observed.objects import parse_object
from pretrain_operator.observed.pods import parse_pod

INDEX = "batch.kubernetes.io/job-completion-index"


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "²", str(10**30), "9" * 5000])
def test_a_number_that_kubernetes_cannot_hold_is_read_as_zero(text: str) -> None:
    metadata = {"name": "x", "uid": "x", "namespace": "default"}
    job = parse_job({"metadata": {**metadata, "labels": {"pretrain.dev/attempt": text}}})
    pod = parse_pod({"metadata": {**metadata, "annotations": {INDEX: text}}})
    assert (job.attempt, pod.rank) == (0, 0)


@pytest.mark.parametrize("junk", [[1], "text", 3, None])
def test_a_spec_or_status_that_is_no_mapping_is_read_as_empty(junk: object) -> None:
    observed = parse_object("PretrainJob", make_body("PretrainJob", spec=junk, status=junk))
    assert (observed.spec, observed.status) == ({}, {})
