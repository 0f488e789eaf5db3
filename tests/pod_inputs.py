"""Inputs of a pod's containers, for tests of their environments and volumes."""

import base64
from typing import Any

from pods import make_pod_spec
from pretrain_local.node.api.pod_inputs import PodInputs
from pretrain_local.node.api.pods import Pod
from pretrain_local.state import NodeResources

NODE = NodeResources(cpus=4, memory_bytes=8 * 2**30)
OBJECTS = {
    ("configmap", "settings"): {"data": {"colour": "blue", "shape": "round"}},
    ("secret", "keys"): {"data": {"token": base64.b64encode(b"hidden").decode()}},
}


def make_pod_inputs(container: dict[str, Any], **spec: Any) -> PodInputs:
    """Return the inputs of a pod with one container, on a node of 4 cores."""
    pod = Pod.model_validate(
        {
            "metadata": {
                "name": "p", "namespace": "n", "uid": "u",
                "labels": {"team": "a", "app": "b"}, "annotations": {"note": "x"},
            },
            "spec": make_pod_spec(container, nodeName="local", **spec),
        }
    )  # fmt: skip
    return PodInputs(pod, "127.9.1.1", "127.9.0.1", NODE, OBJECTS)  # type: ignore[arg-type]
