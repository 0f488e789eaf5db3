"""The values that a pod's environment variables and volumes take from elsewhere.

They come from ConfigMaps, Secrets and, through the downward API, from the pod itself. Pure: the
objects are passed in.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pretrain_local.node.api import resources
from pretrain_local.node.api.pods import Container, Pod
from pretrain_local.node.api.references import ObjectReference, ReferenceKind
from pretrain_local.node.api.schema import ResourceFieldSelector
from pretrain_local.state import NodeResources

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")

CONFIG_ERROR = "CreateContainerConfigError"
CREATING = "ContainerCreating"


class NotReady(Exception):
    """A container cannot start yet, for example because a Secret is missing; retry later."""

    def __init__(self, message: str, reason: str = CONFIG_ERROR) -> None:
        """Keep the `reason` and the message of the container's waiting state."""
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class PodInputs:
    """A pod and all that its containers' environments and volumes are computed from."""

    pod: Pod
    pod_ip: str
    host_ip: str
    node: NodeResources
    objects: Mapping[tuple[ReferenceKind, str], Mapping[str, Any]]
    """Referenced ConfigMaps and Secrets that exist, as the API server returned them."""

    def data(self, reference: ObjectReference) -> dict[str, bytes] | None:
        """Return all keys of an object; None if it is optional and absent.

        Raises:
            NotReady: If it is required and absent.
        """
        body = self.objects.get((reference.kind, reference.name))
        if body is None:
            if reference.optional:
                return None
            raise NotReady(f'{reference.kind} "{reference.name}" not found')
        if reference.kind == "secret":
            return {k: base64.b64decode(v) for k, v in (body.get("data") or {}).items()}
        text = {k: v.encode() for k, v in (body.get("data") or {}).items()}
        binary = {k: base64.b64decode(v) for k, v in (body.get("binaryData") or {}).items()}
        return text | binary

    def value(self, reference: ObjectReference, key: str) -> bytes | None:
        """Return one key of an object; None if it is optional and absent.

        Raises:
            NotReady: If the object or the key is required and absent.
        """
        data = self.data(reference)
        if data is not None and key in data:
            return data[key]
        if reference.optional:
            return None
        names = ", ".join(sorted(data or {})) or "none"
        raise NotReady(f'{reference.kind} "{reference.name}" has no key {key!r}; it has: {names}')

    def field(self, path: str) -> str:
        """Return a field of the pod, for the downward API.

        Raises:
            NotReady: If the downward API has no such field.
        """
        metadata = self.pod.metadata
        if match := _SUBSCRIPT.fullmatch(path):
            pairs = metadata.labels if match[1] == "labels" else metadata.annotations
            return pairs.get(match[2], "")
        fields = {
            "metadata.name": metadata.name,
            "metadata.namespace": metadata.namespace,
            "metadata.uid": metadata.uid,
            "metadata.labels": _format_pairs(metadata.labels),
            "metadata.annotations": _format_pairs(metadata.annotations),
            "spec.nodeName": self.pod.spec.node_name,
            "spec.serviceAccountName": self.pod.spec.service_account_name,
            "status.podIP": self.pod_ip,
            "status.podIPs": self.pod_ip,
            "status.hostIP": self.host_ip,
            "status.hostIPs": self.host_ip,
        }
        if path not in fields:
            supported = ", ".join(fields)
            raise NotReady(f"fieldPath {path!r} is not supported by this node; use {supported}")
        return fields[path]

    def resource(self, selector: ResourceFieldSelector, container: Container) -> str:
        """Return a limit or request, for the downward API."""
        return resources.resource_field(selector, container, self.pod, self.node)


def _format_pairs(pairs: Mapping[str, str]) -> str:
    """Return labels or annotations in the format of downward API files."""
    return "\n".join(f'{key}="{value}"' for key, value in sorted(pairs.items()))
