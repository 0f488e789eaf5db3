"""Overlays of the example for GitOps: kustomize builds them, and the API server accepts them."""

from typing import Any

import pytest
import yaml

from cluster import ROOT, Namespace
from pretrain_api.meta import API_VERSION

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_an_overlay_is_built_and_accepted(overlay: str, namespace: Namespace) -> None:
    namespace.cluster.install_crds()
    folder = ROOT / "examples/gitops/overlays" / overlay
    text = namespace.kubectl("kustomize", str(folder))
    built: list[Any] = [*yaml.safe_load_all(text)]
    assert {item["apiVersion"] for item in built} == {API_VERSION}
    assert len(built) == 5
    namespace.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=text)
