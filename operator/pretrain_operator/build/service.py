"""The headless Service that gives a PretrainJob's pods their DNS names."""

from typing import Any

from pretrain_api import paths
from pretrain_operator.build.metadata import build_metadata, owner_labels
from pretrain_operator.observed.objects import ObservedObject
from pretrain_operator.plan.names import service_name


def build_service(owner: ObservedObject) -> dict[str, Any]:
    """Return the Service of all attempts; pods get a DNS name before they are ready.

    They need it for their rendezvous.
    """
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": build_metadata(owner, service_name(owner.key.name)),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": owner_labels(owner.key),
            "ports": [{"name": "progress", "port": paths.PROGRESS_PORT, "protocol": "TCP"}],
        },
    }
