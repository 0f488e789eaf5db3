"""Fixtures for tests of the operator: its process, a namespace, and a folder for its pods.

Import the fixtures into a `conftest.py`:

    from tenant import operator, tenant
"""

import json
from collections.abc import Iterator
from pathlib import Path
from pydoc_data import topics
from typing import Any

import pytest

from builders import dataset_spec, make_body, pipeline_spec, tokenizer_spec
from cluster import Namespace, RunningCluster, is_condition
from pretrain_local.operator_process import OperatorProcess

Json = dict[str, Any]


@pytest.fixture(scope="module")
def operator(
    local_cluster: RunningCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """Run one operator for a module; a new one per test would hide that the first has ended."""
    local_cluster.install_crds()
    folder = tmp_path_factory.mktemp("operator")
    with OperatorProcess(local_cluster.kubeconfig, folder) as running:
        yield running
        running.check()
    log = running.log.read_text(encoding="utf-8")
    assert "an error of ours" not in log, log


class Tenant:
    """A namespace, a folder that its pods see as /pretrain/data, and a profile for both."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self.namespace, self.folder = namespace, folder
        self.profile = f"profile-{namespace.name}"
        self.write_profile()

    def write_profile(self, **pods: Any) -> None:
        """Apply the profile, with changes to its pods."""
        volume = {"name": "data", "mountPath": "/pretrain/data", "hostPath": str(self.folder)}
        spec = {
            "accelerator": {"name": "cpu", "perNode": 2},
            "pods": {"env": {"GLOO_SOCKET_IFNAME": "lo"}, "volumes": [volume], **pods},
        }
        body = make_body("ComputeProfile", self.profile, spec=spec)
        self.namespace.cluster.kubectl(
            "apply", "--server-side", "-f", "-", stdin=json.dumps(_plain(body))
        )

    def apply(self, kind: str, name: str, spec: Json, **metadata: Any) -> None:
        """Apply an object that uses the profile."""
        with_profile = {"profileRef": {"name": self.profile}, **spec}
        body = _plain(make_body(kind, name, spec=with_profile))
        body["metadata"] |= {**metadata, "namespace": self.namespace.name}
        self.namespace.apply(body)

    def make_blocks(self, **metadata: Any) -> None:
        """Make token blocks `blocks` from documents, with a tokenizer, and wait for them."""
        self.write_documents(count=60)
        self.apply("DataPipeline", "documents", pipeline_spec(tasks=1), **metadata)
        self.apply("Tokenizer", "tokens", tokenizer_spec(vocabularySize=512), **metadata)
        dataset = dataset_spec(tokens="8k", blockTokens="4k", sequenceLength=32, tasks=1)
        self.apply("TokenDataset", "blocks", dataset, **metadata)
        self.namespace.wait_for("tokendataset", "blocks", is_condition("Ready"), 300)

    def write_documents(self, name: str = "web.jsonl", count: int = 40) -> None:
        """Write English text as JSON lines below raw/."""
        path = self.folder / "raw" / name
        path.parent.mkdir(exist_ok=True)
        lines = [json.dumps({"id": str(i), "text": text}) for i, text in enumerate(_texts(count))]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def remove(self) -> None:
        """Delete the profile."""
        self.namespace.cluster.kubectl("delete", "computeprofile", self.profile, "--wait=false")


def _plain(body: Json) -> Json:
    """Return an object without the metadata that the API server sets."""
    return {**body, "metadata": {"name": body["metadata"]["name"]}}


def _texts(count: int) -> list[str]:
    """Return English text: the first topics of Python's language reference."""
    return [text for _, text in sorted(topics.topics.items())][:count]


@pytest.fixture
def tenant(operator: OperatorProcess, namespace: Namespace, tmp_path: Path) -> Iterator[Tenant]:
    """Give a namespace and a folder that its pods read and write; the operator runs."""
    created = Tenant(namespace, tmp_path)
    try:
        yield created
    finally:
        created.remove()
