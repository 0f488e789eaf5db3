"""The ConfigMaps and Secrets that a pod names in its environment and volumes."""

from dataclasses import dataclass
from typing import Literal

from pretrain_local.node.api.pods import Container, Pod

type ReferenceKind = Literal["configmap", "secret"]


@dataclass(frozen=True)
class ObjectReference:
    """A ConfigMap or Secret that a pod names."""

    kind: ReferenceKind
    name: str
    optional: bool = False


def referenced_objects(pod: Pod) -> set[ObjectReference]:
    """Return every ConfigMap and Secret that the pod names."""
    references = {
        reference
        for container in (*pod.spec.init_containers, *pod.spec.containers)
        for reference in (*_in_variables(container), *_in_env_from(container))
    }
    for volume in pod.spec.volumes:
        for source in (volume, *(volume.projected.sources if volume.projected else ())):
            if config_map := source.config_map:
                references.add(
                    ObjectReference("configmap", config_map.object_name, config_map.optional)
                )
            if secret := source.secret:
                references.add(ObjectReference("secret", secret.object_name, secret.optional))
    return references


def _in_variables(container: Container) -> list[ObjectReference]:
    references = []
    for variable in container.env:
        if source := variable.value_from:
            if key := source.config_map_key_ref:
                references.append(ObjectReference("configmap", key.name, key.optional))
            if key := source.secret_key_ref:
                references.append(ObjectReference("secret", key.name, key.optional))
    return references


def _in_env_from(container: Container) -> list[ObjectReference]:
    references = []
    for source in container.env_from:
        if config_map := source.config_map_ref:
            references.append(ObjectReference("configmap", config_map.name, config_map.optional))
        if secret := source.secret_ref:
            references.append(ObjectReference("secret", secret.name, secret.optional))
    return references
