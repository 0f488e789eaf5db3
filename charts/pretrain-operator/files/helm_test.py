"""Checks an installation: an operator leads, the kinds are served, and a wrong run is refused.

Nothing is created: the two runs are dry runs.
"""

import os
import sys
from datetime import UTC, datetime, timedelta

from kubernetes import client, config

LEASE_NAMESPACE, LEASE = os.environ["PRETRAIN_LEASE"].split("/")


def run(layers: int) -> dict[str, object]:
    """Return a run of `layers` layers, over two pipeline stages."""
    width = {"hiddenSize": 64, "ffnHiddenSize": 256, "attentionHeads": 4}
    return {
        "apiVersion": "pretrain.dev/v1alpha1",
        "kind": "PretrainJob",
        "metadata": {"name": "helm-test"},
        "spec": {
            "model": {"layers": layers, **width},
            "data": {"datasetRef": {"name": "none"}},
            "parallelism": {"nodes": 1, "gpusPerNode": 2, "pipeline": 2},
            "training": {"tokens": "1M", "sequenceLength": 256, "globalBatchSize": 8},
            "checkpoint": {"uri": "s3://none/none", "every": {"steps": 50}},
        },
    }


def dry_run(layers: int) -> str:
    """Return what the API server answers to such a run: `created`, or why it is refused."""
    api = client.CustomObjectsApi()
    place = {"group": "pretrain.dev", "version": "v1alpha1", "plural": "pretrainjobs"}
    try:
        api.create_namespaced_custom_object(
            **place, namespace=LEASE_NAMESPACE, body=run(layers), dry_run="All"
        )
    except client.ApiException as error:
        return str(error.body)
    return "created"


def problems() -> list[str]:
    """Return what is wrong with the installation."""
    found = []
    lease = client.CoordinationV1Api().read_namespaced_lease(LEASE, LEASE_NAMESPACE)
    age = datetime.now(UTC) - lease.spec.renew_time
    if not lease.spec.holder_identity or age > timedelta(seconds=60):
        found.append(f"no operator leads: the Lease {LEASE} was renewed {age} ago")
    if (answer := dry_run(4)) != "created":
        found.append(f"a right run is refused: {answer}")
    if "layers" not in (answer := dry_run(5)):
        found.append(f"5 layers over 2 pipeline stages are not refused as they must be: {answer}")
    return found


if __name__ == "__main__":
    config.load_config()
    found = problems()
    print("\n".join(found) or "an operator leads; a right run is accepted, a wrong one refused")
    sys.exit(1 if found else 0)
