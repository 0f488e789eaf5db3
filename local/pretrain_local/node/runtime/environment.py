"""A container's environment variables, and `$(NAME)` in its command."""

import re
from collections.abc import Mapping

from pretrain_local.node.api.pod_inputs import Facts, Wanted
from pretrain_local.node.api.pods import Container, EnvFrom, EnvSource

_REFERENCE = re.compile(r"\$(\$|\(([^()]*)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value and `$$` by `$`; an unknown name stays as it is."""

    def replacement(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return variables.get(match[2], match[0])

    return _REFERENCE.sub(replacement, text)


def build_environment(
    container: Container, facts: Facts, base: Mapping[str, str]
) -> dict[str, str]:
    """Return `base`, then `envFrom`, then `env`, later ones winning.

    Raises:
        NotReady: If a ConfigMap, Secret, key or field is absent.
    """
    variables = dict(base)
    for group in container.env_from:
        variables.update(_from_group(group, facts))
    for entry in container.env:
        if entry.value_from is None:
            variables[entry.name] = expand(entry.value, variables)
        elif (value := _from_source(entry.value_from, container, facts)) is not None:
            variables[entry.name] = value
    return variables


def _from_group(group: EnvFrom, facts: Facts) -> dict[str, str]:
    found: dict[str, bytes] = {}
    if reference := group.config_map_ref:
        found |= facts.data(Wanted("configmap", reference.name, reference.optional)) or {}
    if reference := group.secret_ref:
        found |= facts.data(Wanted("secret", reference.name, reference.optional)) or {}
    return {f"{group.prefix}{key}": value.decode() for key, value in found.items()}


def _from_source(source: EnvSource, container: Container, facts: Facts) -> str | None:
    if source.field_ref:
        return facts.field(source.field_ref.field_path)
    if source.resource_field_ref:
        return facts.resource(source.resource_field_ref, container)
    value = None
    if key := source.config_map_key_ref:
        value = facts.value(Wanted("configmap", key.name, key.optional), key.key)
    elif key := source.secret_key_ref:
        value = facts.value(Wanted("secret", key.name, key.optional), key.key)
    return None if value is None else value.decode()
