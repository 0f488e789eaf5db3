"""Render API models as Kubernetes structural schemas and CustomResourceDefinitions."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from pretrain_api.kinds import CelRule, Column, Kind
from pretrain_api.meta import GROUP, MAX_NAME, VERSION

_DROPPED = frozenset({"title", "$defs", "propertyNames"})
"""Keywords that structural schemas do not have."""
_REFUSED = frozenset({"exclusiveMinimum", "exclusiveMaximum", "const", "oneOf"})


def structural_schema(model: type[BaseModel], describe_defaults: bool = False) -> dict[str, Any]:
    """Return the OpenAPI v3 schema of `model` that the API server accepts.

    The API server forbids `$ref`, and `additionalProperties` beside `properties`, so references
    are inlined and `extra="forbid"` is left to pruning; `X | None` becomes an optional `X`.
    Defaults are dropped: the API server would write them into the user's object. With
    `describe_defaults`, descriptions end with them, for `kubectl explain`.

    Raises:
        ValueError: If `model` uses a keyword that means something else there, such as the
            `exclusiveMinimum` of `Field(gt=...)`, a boolean in Kubernetes. Use `ge=`.

    Source: apiextensions.k8s.io/v1 JSONSchemaProps.
    """
    schema = model.model_json_schema(by_alias=True, mode="validation")
    rendered: dict[str, Any] = _inline(schema, schema.get("$defs", {}), describe_defaults)
    return rendered


_SHORT_NAME = {
    "rule": f"size(self.metadata.name) <= {MAX_NAME}",
    "message": f"metadata.name: has more than {MAX_NAME} characters; use at most {MAX_NAME}",
    "messageExpression": (
        "\"metadata.name: '%s' has %d characters; use at most "
        f'{MAX_NAME}".format([self.metadata.name, size(self.metadata.name)])'
    ),
}
"""A rule of every kind: the name becomes a label of every child."""


def crd(kind: Kind) -> dict[str, Any]:
    """Return the CustomResourceDefinition of `kind`, with a status subresource."""
    spec = structural_schema(kind.spec, describe_defaults=True)
    if kind.rules:
        spec["x-kubernetes-validations"] = [_validation(rule) for rule in kind.rules]
    root = {
        "type": "object",
        "description": spec.get("description", kind.name),
        "required": ["spec"],
        "properties": {"spec": spec, "status": structural_schema(kind.status)},
        "x-kubernetes-validations": [_SHORT_NAME],
    }
    names = {
        "kind": kind.name,
        "listKind": f"{kind.name}List",
        "plural": kind.plural,
        "singular": kind.name.lower(),
        "shortNames": [kind.short_name],
        "categories": ["pretrain"],
    }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
        "schema": {"openAPIV3Schema": root},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": names,
            "versions": [version],
        },
    }


def _column(column: Column) -> dict[str, Any]:
    shown = {"name": column.name, "type": column.type, "jsonPath": column.path}
    return {**shown, "priority": 1} if column.wide else shown


def _validation(rule: CelRule) -> dict[str, str]:
    optional = {"messageExpression": rule.message_expression, "fieldPath": rule.field_path}
    return {
        "rule": rule.rule,
        "message": rule.message,
        "reason": "FieldValueInvalid",
        **{key: value for key, value in optional.items() if value is not None},
    }


def _inline(node: Any, definitions: Mapping[str, Any], describe_defaults: bool) -> Any:
    if isinstance(node, list):
        return [_inline(item, definitions, describe_defaults) for item in node]
    if not isinstance(node, dict):
        return node
    if refused := _REFUSED & node.keys():
        raise ValueError(f"schema keywords {sorted(refused)} have no structural equivalent: {node}")
    if "patternProperties" in node:
        # A map whose keys have a pattern: the API server knows no patterns of keys.
        [values] = node["patternProperties"].values()
        rest = {k: v for k, v in node.items() if k != "patternProperties"}
        return _inline({**rest, "additionalProperties": values}, definitions, describe_defaults)
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[-1]]
        return _inline(
            {**target, **{k: v for k, v in node.items() if k != "$ref"}},
            definitions,
            describe_defaults,
        )
    if "anyOf" in node and "x-kubernetes-int-or-string" not in node:
        options = [option for option in node["anyOf"] if option != {"type": "null"}]
        if len(options) != 1:
            raise ValueError(f"only `X | None` unions are structural, got: {node['anyOf']}")
        rest = {k: v for k, v in node.items() if k != "anyOf"}
        return _inline({**options[0], **rest}, definitions, describe_defaults)
    node = _with_default(node) if describe_defaults else node
    return {
        k: {name: _inline(p, definitions, describe_defaults) for name, p in v.items()}
        if k == "properties"
        else _inline(v, definitions, describe_defaults)
        for k, v in node.items()
        if k not in _DROPPED | {"default"} and (k, v) != ("additionalProperties", False)
    }


def default_text(node: Mapping[str, Any]) -> str | None:
    """Return the default of a field as a manifest would have it; `None` unless it is plain."""
    default = node.get("default")
    if default is None or not isinstance(default, str | int | float):
        return None
    options = (node, *node.get("anyOf", ()))
    is_number = any("x-kubernetes-int-or-string" in option for option in options)
    is_text = any(option.get("type") == "string" for option in options)
    is_duration = is_text and not is_number and not isinstance(default, str)
    return f'"{default}s"' if is_duration else json.dumps(default, ensure_ascii=False)


def _with_default(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a node whose description ends with its default, if it has a plain one."""
    default = default_text(node)
    if default is None or "description" not in node:
        return node
    return {**node, "description": f"{node['description']} Default: {default}."}
