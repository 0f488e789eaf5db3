"""Metadata of children: their owner, and the labels by which they are selected."""

from collections.abc import Mapping
from typing import Any

from pretrain_api.meta import API_VERSION, KIND_LABEL, NAME_LABEL
from pretrain_operator.observed.objects import Key, ObservedObject


def owner_labels(key: Key) -> dict[str, str]:
    """Return the labels that every child of the object `key` carries."""
    return {KIND_LABEL: key.kind.lower(), NAME_LABEL: key.name}


def build_metadata(
    owner: ObservedObject,
    name: str,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the metadata of a child of `owner`, which is deleted together with it."""
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": owner.key.namespace,
        "labels": {
            "app.kubernetes.io/managed-by": "pretrain-operator",
            **owner_labels(owner.key),
            **(labels or {}),
        },
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": owner.key.kind,
                "name": owner.key.name,
                "uid": owner.uid,
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ],
    }
    if annotations:
        metadata["annotations"] = dict(annotations)
    return metadata
