"""`kubectl pretrain plan NAME` asks the cluster for the run and its profile."""

import json

import pytest

from api_server import NAME, ApiServer
from cluster import RunningCluster
from pretrain_operator.cli.main import ACCEPTED, UNUSABLE, main

pytestmark = pytest.mark.integration

SPEC = {
    "profileRef": {"name": NAME},
    "model": {"preset": "llama3-8b"},
    "data": {"datasetRef": {"name": "blocks"}},
    "parallelism": {"nodes": 2},
    "training": {"tokens": "100G", "sequenceLength": 4096, "globalBatchSize": 512},
    "checkpoint": {"uri": "s3://checkpoints/run"},
}
PROFILE = {"accelerator": {"name": "h100", "perNode": 8}}


def test_a_run_of_the_cluster_is_planned_on_its_profile(
    api_server: ApiServer,
    local_cluster: RunningCluster,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(local_cluster.kubeconfig))
    assert main(["plan", "missing"]) == UNUSABLE
    assert "there is no PretrainJob 'missing'" in capsys.readouterr().err
    for kind, spec in (("ComputeProfile", PROFILE), ("PretrainJob", SPEC)):
        assert api_server.create(kind, spec, dry_run=False).is_accepted
    try:
        assert main(["plan", NAME, "-o", "json"]) == ACCEPTED
        [result] = json.loads(capsys.readouterr().out)
        assert result["plan"]["worldSize"] == 16
        assert result["plan"]["predictedStepSeconds"] > 0
    finally:
        api_server.delete("PretrainJob")
        api_server.delete("ComputeProfile")
