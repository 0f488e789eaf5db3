"""What an object refers to: so that it is looked at again when that changes."""

from collections.abc import Iterator, Mapping
from typing import Any

from pretrain_operator.observed.objects import Key, ObservedObject

ANY_PROFILE = Key("ComputeProfile", "", "*")
"""Stands for the profile of an object without `profileRef`: a change of any may be meant."""


def references(observed: ObservedObject) -> frozenset[Key]:
    """Return the keys of the objects that `observed` refers to.

    The spec is read as it is: an invalid one must not hide what it waits for.
    """
    if observed.key.kind == "ComputeProfile":
        return frozenset()
    return frozenset(_references(observed.key, observed.spec))


def _references(key: Key, spec: Mapping[str, Any]) -> Iterator[Key]:
    profile = _name(spec.get("profileRef"))
    yield Key("ComputeProfile", "", profile) if profile else ANY_PROFILE
    match key.kind:
        case "Tokenizer":
            places = [("DataPipeline", _mapping(spec.get("corpus")).get("pipelineRef"))]
        case "TokenDataset":
            mixture = spec.get("mixture")
            parts = mixture if isinstance(mixture, list) else []
            places = [("Tokenizer", spec.get("tokenizerRef"))]
            places += [("DataPipeline", _mapping(part).get("pipelineRef")) for part in parts]
        case "PretrainJob":
            places = [("TokenDataset", _mapping(spec.get("data")).get("datasetRef"))]
        case _:
            places = []
    for kind, ref in places:
        if name := _name(ref):
            yield Key(kind, key.namespace, name)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _name(ref: object) -> str | None:
    name = _mapping(ref).get("name")
    return name if isinstance(name, str) else None
