import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import (
    DIGEST,
    gpu_profile_spec,
    make_observed_run,
    parsed_profile,
    parsed_run,
    run_spec,
)
from pretrain_api.paths import PROGRESS_PORT
from pretrain_api.runs import OpenedArtifact
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_operator.plan.runs.run_inputs import OpenedInputs, pin_inputs
from pretrain_operator.plan.runs.training_run import rendezvous_port, training_run

OPENED = OpenedInputs(
    OpenedArtifact(uri="s3://b/blocks", digest=DIGEST, credentials_secret="s3"),
    OpenedArtifact(uri="s3://b/tokens", digest=DIGEST[::-1]),
)


def learning(**changes: object) -> dict[str, object]:
    return {**run_spec()["training"], **changes}


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        ({"training": learning(tokens="9M")}, True),
        ({"checkpoint": {"uri": "file:///pretrain/data/elsewhere"}}, True),
        ({"suspend": True}, True),
        ({"training": learning(globalBatchSize=16)}, False),
        ({"model": {**run_spec()["model"], "layers": 8}}, False),
        ({"initialize": {"huggingFace": {"uri": "s3://models/llama"}}}, False),
    ],
)
def test_a_run_keeps_its_digest_while_only_fields_change_that_do_not_affect_training(
    change: dict[str, object], is_same: bool
) -> None:
    before = pin_inputs(parsed_run(), OPENED).digest
    assert (pin_inputs(parsed_run(**change), OPENED).digest == before) is is_same


@given(st.uuids(), st.integers(1, 10_000))
def test_each_attempt_has_its_own_rendezvous_port(uid: object, attempt: int) -> None:
    port = rendezvous_port(str(uid), attempt)
    assert 20_000 <= port < 30_000
    assert port != PROGRESS_PORT
    assert port == rendezvous_port(str(uid), attempt)
    assert port != rendezvous_port(str(uid), attempt + 1)


def test_the_document_of_pods_has_their_rendezvous_and_their_device() -> None:
    run = make_observed_run()
    document = training_run(run, parsed_profile(), OPENED, 2)
    assert (document.uid, document.attempt) == (run.owner.uid, 2)
    assert document.inputs == pin_inputs(run.spec, OPENED)
    assert document.rendezvous_host == "run-a2-0.run-pods.default.svc"
    assert (document.processes_per_node, document.device) == (2, "cpu")
    gpus = ComputeProfileSpec.model_validate(gpu_profile_spec())
    on_gpus = training_run(run, gpus, OPENED, 2)
    assert (on_gpus.processes_per_node, on_gpus.device) == (8, "cuda")
    assert on_gpus.peak_flops is not None
    assert on_gpus.peak_flops > 9e14
