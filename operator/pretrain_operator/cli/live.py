"""Read a PretrainJob, and what it refers to, from the cluster that kubectl would use."""

import os
from collections.abc import Mapping
from typing import Any

from kubernetes import client, config

from pretrain_api.kinds import KINDS
from pretrain_api.meta import GROUP, VERSION
from pretrain_api.problems import InvalidManifest
from pretrain_operator.cli.manifests import Document

_PLURALS = {kind.name: kind.plural for kind in KINDS}


def read_cluster(name: str, namespace: str | None) -> tuple[Document, ...]:
    """Return the PretrainJob, its dataset and tokenizer, and all ComputeProfiles.

    Raises:
        InvalidManifest: If the cluster cannot be reached, or has no such PretrainJob.
    """
    try:
        files = os.environ.get("KUBECONFIG") or None
        config.load_kube_config(config_file=files)
        _, context = config.list_kube_config_contexts(config_file=files)
    except (config.ConfigException, OSError) as error:
        raise InvalidManifest([f"there is no cluster to ask: {error}"]) from None
    where = namespace or context.get("context", {}).get("namespace") or "default"
    api = client.CustomObjectsApi()
    job = _get(api, "PretrainJob", where, name)
    if job is None:
        raise InvalidManifest([f"there is no PretrainJob {name!r} in namespace {where!r}"])
    found = [job]
    dataset = _get(api, "TokenDataset", where, _named(job, "data", "datasetRef"))
    if dataset is not None:
        found.append(dataset)
        tokenizer = _get(api, "Tokenizer", where, _named(dataset, "tokenizerRef"))
        found += [tokenizer] if tokenizer is not None else []
    profiles = api.list_cluster_custom_object(GROUP, VERSION, _PLURALS["ComputeProfile"])
    found += [{**profile, "kind": "ComputeProfile"} for profile in profiles["items"]]
    return tuple(_document(value) for value in found)


def _get(
    api: client.CustomObjectsApi, kind: str, namespace: str, name: str | None
) -> dict[str, Any] | None:
    if not name:
        return None
    try:
        value = api.get_namespaced_custom_object(GROUP, VERSION, namespace, _PLURALS[kind], name)
    except client.ApiException as error:
        if error.status == 404:
            return None
        raise InvalidManifest(
            [f"the cluster refused to show {kind} {name}: {error.reason}"]
        ) from None
    return {**value, "kind": kind}


def _named(value: Mapping[str, Any], *path: str) -> str | None:
    found: Any = value.get("spec", {})
    for part in path:
        found = found.get(part, {})
    name = found.get("name")
    return name if isinstance(name, str) else None


def _document(value: Mapping[str, Any]) -> Document:
    return Document(
        "cluster",
        value["kind"],
        value["metadata"]["name"],
        value.get("spec", {}),
        value.get("status", {}),
    )
