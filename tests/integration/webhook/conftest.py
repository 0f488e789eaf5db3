import json
from collections.abc import Iterator

import pytest

from builders import dataset_spec, make_body, profile_spec, run_spec, tokenizer_spec
from cluster import Namespace, make_namespace, run_cluster, wait_until
from pretrain_local.kubectl import KubectlError
from webhooks import WebhookProcess

PROFILE = {"accelerator": {"name": "h100", "perNode": 8}}


@pytest.fixture(scope="module")
def team() -> Iterator[Namespace]:
    """Give a namespace in a cluster of its own: the webhook would refuse objects of other tests.

    It has a profile, a dataset of a million tokens and its tokenizer.
    """
    with run_cluster() as cluster:
        cluster.install_crds()
        namespace = make_namespace(cluster)
        specs = {
            ("ComputeProfile", "h100"): profile_spec(**PROFILE),
            ("TokenDataset", "blocks"): dataset_spec(),
            ("Tokenizer", "tokens"): tokenizer_spec(),
        }
        for (kind, name), spec in specs.items():
            body = make_body(kind, name, spec=spec)
            namespace.apply({**body, "metadata": {"name": name}})
        yield namespace


@pytest.fixture(scope="module")
def webhook(team: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebhookProcess]:
    """Give a running webhook that the API server calls."""
    with WebhookProcess(team, tmp_path_factory.mktemp("webhook")) as running:
        running.configure("Fail")
        # The configuration takes effect a moment later.
        wait_until(lambda: _is_called(team), "the webhook's configuration")
        yield running
    log = running.log.read_text(encoding="utf-8")
    assert "Traceback" not in log, log


def _is_called(team: Namespace) -> bool | None:
    """Return whether the API server refuses a run that only the webhook finds wrong."""
    spec = run_spec(training={**run_spec()["training"], "sequenceLength": 256})
    body = {**make_body("PretrainJob", spec=spec), "metadata": {"name": "probe"}}
    try:
        team.kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(body))
    except KubectlError as error:
        return "admission.pretrain.dev" in str(error) or None
    return None
