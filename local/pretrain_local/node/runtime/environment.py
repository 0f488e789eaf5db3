"""Environment variables of a container, and the expansion of `$(NAME)` in its command."""

import re
from collections.abc import Mapping

from pretrain_local.node.api.pod_inputs import PodInputs
from pretrain_local.node.api.pods import Container, EnvFromSource, EnvVarSource
from pretrain_local.node.api.references import ObjectReference

_REFERENCE = re.compile(r"\$(\$|\(([^()]*)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value and `$$` by `$`; an undefined name stays as it is."""

    def replacement(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return variables.get(match[2], match[0])

    return _REFERENCE.sub(replacement, text)


def build_environment(
    container: Container, inputs: PodInputs, base: Mapping[str, str]
) -> dict[str, str]:
    """Return `base`, overridden by `envFrom`, overridden by `env`.

    Raises:
        NotReady: If a ConfigMap, Secret, key or field is absent.
    """
    variables = dict(base)
    for source in container.env_from:
        variables.update(_all_keys(source, inputs))
    for entry in container.env:
        if entry.value_from is None:
            variables[entry.name] = expand(entry.value, variables)
        elif (value := _value(entry.value_from, container, inputs)) is not None:
            variables[entry.name] = value
    return variables


def _all_keys(source: EnvFromSource, inputs: PodInputs) -> dict[str, str]:
    data: dict[str, bytes] = {}
    if selector := source.config_map_ref:
        reference = ObjectReference("configmap", selector.name, selector.optional)
        data |= inputs.data(reference) or {}
    if selector := source.secret_ref:
        reference = ObjectReference("secret", selector.name, selector.optional)
        data |= inputs.data(reference) or {}
    return {f"{source.prefix}{key}": value.decode() for key, value in data.items()}


def _value(source: EnvVarSource, container: Container, inputs: PodInputs) -> str | None:
    if source.field_ref:
        return inputs.field(source.field_ref.field_path)
    if source.resource_field_ref:
        return inputs.resource(source.resource_field_ref, container)
    value = None
    if key := source.config_map_key_ref:
        value = inputs.value(ObjectReference("configmap", key.name, key.optional), key.key)
    elif key := source.secret_key_ref:
        value = inputs.value(ObjectReference("secret", key.name, key.optional), key.key)
    return None if value is None else value.decode()
