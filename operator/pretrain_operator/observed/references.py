"""What an object refers to; it is reconciled again when one of these objects changes."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from pretrain_api.meta import Reference
from pretrain_operator.observed.objects import Key, ListedObjects, ObjectReader, ObservedObject

ANY_PROFILE = Key("ComputeProfile", "", "*")
"""The profile of an object without `profileRef`: any profile may become the default."""


def references(observed: ObservedObject) -> frozenset[Key]:
    """Return the keys of the objects that `observed` refers to.

    The spec is read without validation: an invalid spec must not hide its references.
    """
    if observed.key.kind == "ComputeProfile":
        return frozenset()
    return frozenset(_references(observed.key, observed.spec))


def collect_related(reader: ObjectReader, owner: ObservedObject) -> ListedObjects:
    """Return all ComputeProfiles, and what `owner` refers to, directly or through others.

    A snapshot, which later changes do not reach: planning may run in another thread.
    """
    related: dict[Key, ObservedObject] = {}
    pending = list(references(owner))
    while pending:
        key = pending.pop()
        item = reader.get(key)
        if item is not None and key not in related:
            related[key] = item
            pending.extend(references(item))
    return ListedObjects([*reader.all("ComputeProfile"), *related.values()])


def secret_references(spec: object) -> Iterator[str]:
    """Yield the Secrets that a spec, or a part of one, names in `credentialsSecretRef`.

    A name that no object can have is left out: it would become part of the path of a request.
    """
    if isinstance(spec, Mapping):
        for field, value in spec.items():
            if field == "credentialsSecretRef" and (name := _valid_name(value)):
                yield name
            else:
                yield from secret_references(value)
    elif isinstance(spec, list):
        for item in spec:
            yield from secret_references(item)


def _references(key: Key, spec: Mapping[str, Any]) -> Iterator[Key]:
    profile = _name(spec.get("profileRef"))
    yield Key("ComputeProfile", "", profile) if profile else ANY_PROFILE
    match key.kind:
        case "Tokenizer":
            refs = [("DataPipeline", _mapping(spec.get("corpus")).get("pipelineRef"))]
        case "TokenDataset":
            mixture = spec.get("mixture")
            parts = mixture if isinstance(mixture, list) else []
            refs = [("Tokenizer", spec.get("tokenizerRef"))]
            refs += [("DataPipeline", _mapping(part).get("pipelineRef")) for part in parts]
        case "PretrainJob":
            refs = [("TokenDataset", _mapping(spec.get("data")).get("datasetRef"))]
        case _:
            refs = []
    for kind, ref in refs:
        if name := _name(ref):
            yield Key(kind, key.namespace, name)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _name(ref: object) -> str | None:
    name = _mapping(ref).get("name")
    return name if isinstance(name, str) else None


def _valid_name(ref: object) -> str | None:
    try:
        return Reference.model_validate(ref, extra="ignore").name
    except ValidationError:
        return None
