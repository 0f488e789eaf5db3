"""Read a PretrainJob and the objects that it refers to from the cluster that kubectl would use."""

import os
from collections.abc import Mapping
from typing import Any

import urllib3
from kubernetes import client, config

from pretrain_api.kinds import KINDS
from pretrain_api.meta import GROUP, VERSION
from pretrain_api.problems import InvalidManifest
from pretrain_operator.cli.manifests import Document
from pretrain_operator.observed.objects import parse_object

_PLURALS = {kind.name: kind.plural for kind in KINDS}
_TIMEOUT_SECONDS = 20
"""Timeout of a request to the API server, for connecting and for each read."""


def read_cluster(name: str, namespace: str | None) -> tuple[Document, ...]:
    """Return the PretrainJob, its dataset and tokenizer, and all ComputeProfiles.

    Raises:
        InvalidManifest: If the cluster cannot be reached, one of the objects cannot be read, or
            there is no such PretrainJob.
    """
    try:
        files = os.environ.get("KUBECONFIG") or None
        config.load_kube_config(config_file=files)
        _, context = config.list_kube_config_contexts(config_file=files)
    except (config.ConfigException, OSError) as error:
        raise InvalidManifest([f"there is no cluster to read from: {error}"]) from None
    namespace = namespace or context.get("context", {}).get("namespace") or "default"
    api = client.CustomObjectsApi()
    try:
        bodies = _read(api, namespace, name)
    except urllib3.exceptions.HTTPError as error:
        server = api.api_client.configuration.host
        raise InvalidManifest([f"the API server {server} does not answer: {error}"]) from None
    return tuple(Document("cluster", parse_object(body["kind"], body)) for body in bodies)


def _read(api: client.CustomObjectsApi, namespace: str, name: str) -> list[dict[str, Any]]:
    job = _get(api, "PretrainJob", namespace, name)
    if job is None:
        raise InvalidManifest([f"there is no PretrainJob {name!r} in namespace {namespace!r}"])
    bodies = [job]
    dataset = _get(api, "TokenDataset", namespace, _referenced(job, "data", "datasetRef"))
    if dataset is not None:
        bodies.append(dataset)
        tokenizer = _get(api, "Tokenizer", namespace, _referenced(dataset, "tokenizerRef"))
        bodies += [tokenizer] if tokenizer is not None else []
    return [*bodies, *_profiles(api)]


def _get(
    api: client.CustomObjectsApi, kind: str, namespace: str, name: str | None
) -> dict[str, Any] | None:
    if not name:
        return None
    try:
        value = api.get_namespaced_custom_object(
            GROUP, VERSION, namespace, _PLURALS[kind], name, _request_timeout=_TIMEOUT_SECONDS
        )
    except client.ApiException as error:
        if error.status == 404:
            return None
        raise _refusal(f"{kind} {name} in namespace {namespace}", error) from None
    return {**value, "kind": kind}


def _profiles(api: client.CustomObjectsApi) -> list[dict[str, Any]]:
    plural = _PLURALS["ComputeProfile"]
    try:
        profiles = api.list_cluster_custom_object(
            GROUP, VERSION, plural, _request_timeout=_TIMEOUT_SECONDS
        )
    except client.ApiException as error:
        raise _refusal("the ComputeProfiles, which are cluster-wide", error) from None
    return [{**profile, "kind": "ComputeProfile"} for profile in profiles["items"]]


def _refusal(what: str, error: client.ApiException) -> InvalidManifest:
    """Return the error for a response with an error status."""
    message = f"the cluster refused to show {what}: {error.status} {error.reason}"
    if error.status in (401, 403):
        message += "; use a user who may get and list the kinds of " + GROUP
    return InvalidManifest([message])


def _referenced(body: Mapping[str, Any], *path: str) -> str | None:
    """Return the name in the reference at `path` of a spec."""
    value: Any = body.get("spec", {})
    for field in path:
        value = value.get(field, {})
    name = value.get("name")
    return name if isinstance(name, str) else None
