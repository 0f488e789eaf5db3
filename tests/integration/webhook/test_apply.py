"""`kubectl apply` against a real API server that calls the webhook, run as in its Deployment."""

import json
import ssl
import subprocess
from typing import Any

import pytest
from cryptography import x509

from builders import run_spec
from cluster import Namespace, wait_until
from webhooks import WebhookProcess

pytestmark = pytest.mark.integration

REFUSED = 'The request is invalid: error when creating "STDIN": '
DRY = "--dry-run=server"
DENIED = 'admission webhook "admission.pretrain.dev" denied the request: '


def run(name: str, **changes: Any) -> dict[str, Any]:
    """Return a PretrainJob."""
    return {
        "apiVersion": "pretrain.dev/v1alpha1",
        "kind": "PretrainJob",
        "metadata": {"name": name},
        "spec": {**run_spec(), "parallelism": {"nodes": 1}, **changes},
    }


def trained(**changes: Any) -> dict[str, Any]:
    """Return the training part of a run, with changes."""
    return {**run_spec()["training"], **changes}


def apply(team: Namespace, manifest: dict[str, Any], *flags: str) -> tuple[int, str]:
    """Return the exit code of kubectl, and what it writes to standard error."""
    cluster = team.cluster
    command = [cluster.kubectl_binary, f"--kubeconfig={cluster.kubeconfig}", "apply", *flags]
    done = subprocess.run(
        [*command, f"--namespace={team.name}", "-f", "-"],
        input=json.dumps(manifest),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr.strip()


@pytest.mark.usefixtures("webhook")
def test_a_wrong_run_is_refused_with_all_messages(team: Namespace) -> None:
    layout = {"nodes": 1, "gpusPerNode": 16, "tensor": 2}
    model = {**run_spec()["model"], "vocabularySize": 1000}
    training = trained(sequenceLength=256)
    code, stderr = apply(team, run("wrong", parallelism=layout, model=model, training=training))
    assert code == 1
    assert stderr.splitlines()[-1] == REFUSED + DENIED + (
        "spec.model.vocabularySize: 1000 is less than the tokenizer's 1024 ids; use 1024 or more,"
        " or leave it out; spec.parallelism.gpusPerNode: 16 is more than spec.accelerator.perNode"
        " = 8 of the ComputeProfile; use at most 8; spec.training.sequenceLength: 256 is not the"
        " sequenceLength of TokenDataset blocks, 128; use 128, or change that of the dataset"
    )


@pytest.mark.usefixtures("webhook")
def test_too_large_a_run_is_refused_with_layouts_that_fit(team: Namespace) -> None:
    layout = {"nodes": 4, "tensor": 1, "pipeline": 1}
    training = trained(precision="bf16", globalBatchSize=512)
    code, stderr = apply(
        team, run("large", model={"preset": "llama3-70b"}, parallelism=layout, training=training)
    )
    assert code == 1
    assert DENIED + "spec.parallelism: " in stderr
    assert "predicted on the device that needs most" in stderr
    assert "; these fit: " in stderr


@pytest.mark.usefixtures("webhook")
def test_a_good_run_is_created_with_warnings(team: Namespace) -> None:
    code, stderr = apply(team, run("good", training=trained(tokens="2M")))
    assert code == 0
    assert (
        "Warning: spec.training.tokens: 2000000 is more than the 1000000 tokens of TokenDataset"
        " blocks; its stream would be read again"
    ) in stderr.splitlines()
    assert team.get("pretrainjob", "good") is not None


@pytest.mark.usefixtures("webhook")
def test_an_object_that_does_not_exist_yet_is_a_warning(team: Namespace) -> None:
    waits = run("waits", data={"datasetRef": {"name": "later"}}, profileRef={"name": "absent"})
    code, stderr = apply(team, waits, DRY)
    assert code == 0
    assert "Warning: spec.data.datasetRef.name: there is no TokenDataset 'later'" in stderr
    assert "Warning: spec.profileRef.name: there is no ComputeProfile 'absent'" in stderr
    assert team.get("pretrainjob", "waits") is None


@pytest.mark.usefixtures("webhook")
def test_a_server_side_dry_run_is_refused_as_well(team: Namespace) -> None:
    wrong = run("dry", training=trained(sequenceLength=256))
    code, stderr = apply(team, wrong, DRY, "--server-side")
    assert code == 1
    assert "spec.training.sequenceLength: 256 is not the sequenceLength" in stderr


def test_a_renewed_certificate_is_loaded_without_a_restart(
    team: Namespace, webhook: WebhookProcess
) -> None:
    webhook.issue("second")

    def is_served() -> bool | None:
        pem = ssl.get_server_certificate((webhook.host, webhook.port))
        [name] = x509.load_pem_x509_certificate(pem.encode()).subject
        return name.value == "second" or None

    wait_until(is_served, "the second certificate")
    assert apply(team, run("renewed", training=trained(sequenceLength=256)))[0] == 1
    assert apply(team, run("renewed"))[0] == 0


@pytest.mark.parametrize(("policy", "code"), [("Ignore", 0), ("Fail", 1)])
def test_while_it_is_unavailable_the_failure_policy_decides(
    team: Namespace, webhook: WebhookProcess, policy: str, code: int
) -> None:
    wrong = run(f"unavailable-{policy.lower()}", training=trained(sequenceLength=256))
    webhook.stop()
    try:
        webhook.configure(policy)
        # A changed configuration takes effect a moment later.
        wait_until(lambda: apply(team, wrong, DRY)[0] == code or None, f"policy {policy}")
        exit_code, stderr = apply(team, wrong)
        assert exit_code == code
        assert ('failed calling webhook "admission.pretrain.dev"' in stderr) == bool(code)
        assert (team.get("pretrainjob", wrong["metadata"]["name"]) is None) == bool(code)
    finally:
        webhook.configure("Fail")
        webhook.start()
