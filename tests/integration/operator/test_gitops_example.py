"""Overlays of the example for GitOps: kustomize builds them, and the API server accepts them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import ROOT, Namespace, RunningCluster
from pretrain_api.meta import API_VERSION
from pretrain_operator.cli.main import main

pytestmark = pytest.mark.integration


@pytest.fixture
def kubectl_on_path(local_cluster: RunningCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(local_cluster.kubectl_binary).parent
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def test_the_command_line_plans_what_kustomize_builds(
    kubectl_on_path: None, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ROOT / "examples/gitops/overlays/prod"
    assert main(["plan", "-k", str(folder), "-o", "json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert result["unchecked"] == []
    assert result["plan"]["worldSize"] == 8
    assert main(["validate", "-k", str(folder.parent)]) == 2
    assert "-k " in capsys.readouterr().err


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_an_overlay_is_built_and_accepted(overlay: str, namespace: Namespace) -> None:
    namespace.cluster.install_crds()
    folder = ROOT / "examples/gitops/overlays" / overlay
    text = namespace.kubectl("kustomize", str(folder))
    built: list[Any] = [*yaml.safe_load_all(text)]
    assert {item["apiVersion"] for item in built} == {API_VERSION}
    assert len(built) == 5
    namespace.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=text)
