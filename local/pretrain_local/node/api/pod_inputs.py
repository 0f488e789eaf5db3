"""What a pod can be told: objects it names, fields of itself. Pure, so that tests need no node."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pretrain_local.node.api import resources
from pretrain_local.node.api.pods import Container, Pod, ResourceRef
from pretrain_local.state import NodeResources

Kind = Literal["configmap", "secret"]

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


CONFIG_ERROR = "CreateContainerConfigError"
CREATING = "ContainerCreating"


class NotReady(Exception):
    """Time, or a user who makes the missing object, will heal this; the message names it."""

    def __init__(self, message: str, reason: str = CONFIG_ERROR) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Wanted:
    """A ConfigMap or Secret that a pod names."""

    kind: Kind
    name: str
    optional: bool = False


@dataclass(frozen=True)
class Facts:
    """Everything that a container's launch depends on."""

    pod: Pod
    pod_ip: str
    host_ip: str
    node: NodeResources
    objects: Mapping[tuple[Kind, str], Mapping[str, Any]]
    """ConfigMaps and Secrets that exist, as the API server has them."""

    def data(self, wanted: Wanted) -> dict[str, bytes] | None:
        """Return the keys of an object; None if it is optional and absent.

        Raises:
            NotReady: If it is absent and needed.
        """
        found = self.objects.get((wanted.kind, wanted.name))
        if found is None:
            if wanted.optional:
                return None
            raise NotReady(f'{wanted.kind} "{wanted.name}" not found')
        if wanted.kind == "secret":
            return {k: base64.b64decode(v) for k, v in (found.get("data") or {}).items()}
        text = {k: v.encode() for k, v in (found.get("data") or {}).items()}
        binary = {k: base64.b64decode(v) for k, v in (found.get("binaryData") or {}).items()}
        return text | binary

    def value(self, wanted: Wanted, key: str) -> bytes | None:
        """Return one key of an object; None if it is optional and absent.

        Raises:
            NotReady: If the object or the key is absent and needed.
        """
        data = self.data(wanted)
        if data is not None and key in data:
            return data[key]
        if wanted.optional:
            return None
        names = ", ".join(sorted(data or {})) or "none"
        raise NotReady(f'{wanted.kind} "{wanted.name}" has no key {key!r}; it has: {names}')

    def field(self, path: str) -> str:
        """Return a field of the pod, for the downward API.

        Raises:
            NotReady: If there is no such field.
        """
        metadata = self.pod.metadata
        if match := _SUBSCRIPT.fullmatch(path):
            return (metadata.labels if match[1] == "labels" else metadata.annotations).get(
                match[2], ""
            )
        plain = {
            "metadata.name": metadata.name,
            "metadata.namespace": metadata.namespace,
            "metadata.uid": metadata.uid,
            "metadata.labels": _lines(metadata.labels),
            "metadata.annotations": _lines(metadata.annotations),
            "spec.nodeName": self.pod.spec.node_name,
            "spec.serviceAccountName": self.pod.spec.service_account_name,
            "status.podIP": self.pod_ip,
            "status.podIPs": self.pod_ip,
            "status.hostIP": self.host_ip,
            "status.hostIPs": self.host_ip,
        }
        if path not in plain:
            raise NotReady(f"fieldPath {path!r} is none that this node knows: {', '.join(plain)}")
        return plain[path]

    def resource(self, reference: ResourceRef, container: Container) -> str:
        """Return a limit or request, for the downward API."""
        return resources.resource_field(reference, container, self.pod, self.node)


def _lines(pairs: Mapping[str, str]) -> str:
    """Return labels or annotations in the form of the downward API's files."""
    return "\n".join(f'{key}="{value}"' for key, value in sorted(pairs.items()))


def wanted_objects(pod: Pod) -> set[Wanted]:
    """Return every ConfigMap and Secret that the pod names."""
    found = {
        wanted
        for container in (*pod.spec.init_containers, *pod.spec.containers)
        for wanted in _named_by(container)
    }
    for volume in pod.spec.volumes:
        parts = [volume, *(volume.projected.sources if volume.projected else ())]
        for part in parts:
            if part.config_map:
                found.add(
                    Wanted("configmap", part.config_map.object_name, part.config_map.optional)
                )
            if part.secret:
                found.add(Wanted("secret", part.secret.object_name, part.secret.optional))
    return found


def _named_by(container: Container) -> list[Wanted]:
    found = []
    for variable in container.env:
        if source := variable.value_from:
            if key := source.config_map_key_ref:
                found.append(Wanted("configmap", key.name, key.optional))
            if key := source.secret_key_ref:
                found.append(Wanted("secret", key.name, key.optional))
    for group in container.env_from:
        if group.config_map_ref:
            found.append(
                Wanted("configmap", group.config_map_ref.name, group.config_map_ref.optional)
            )
        if group.secret_ref:
            found.append(Wanted("secret", group.secret_ref.name, group.secret_ref.optional))
    return found
