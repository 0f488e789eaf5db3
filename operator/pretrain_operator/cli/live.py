"""Read a PretrainJob and the objects that it refers to from the cluster that kubectl would use."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import urllib3
from kubernetes import client, config

from pretrain_api.kinds import KINDS
from pretrain_api.meta import GROUP, VERSION
from pretrain_api.problems import InvalidManifest
from pretrain_operator.cli.manifests import Document
from pretrain_operator.observed.objects import ObservedObject, parse_object

_PLURALS = {kind.name: kind.plural for kind in KINDS}
_TIMEOUT_SECONDS = 20
"""Timeout of a request to the API server, for connecting and for each read."""


def connect(namespace: str | None) -> str:
    """Use the cluster that kubectl would use, and return the namespace: `namespace` if it is given.

    Raises:
        InvalidManifest: If no cluster is configured.
    """
    try:
        files = os.environ.get("KUBECONFIG") or None
        config.load_kube_config(config_file=files)
        _, context = config.list_kube_config_contexts(config_file=files)
    except (config.ConfigException, OSError) as error:
        raise InvalidManifest([f"there is no cluster to read from: {error}"]) from None
    return namespace or context.get("context", {}).get("namespace") or "default"


@contextmanager
def answering() -> Iterator[client.CustomObjectsApi]:
    """Give the API of custom objects, and say which server does not answer.

    Raises:
        InvalidManifest: If the API server does not answer a request.
    """
    api = client.CustomObjectsApi()
    try:
        yield api
    except urllib3.exceptions.HTTPError as error:
        server = api.api_client.configuration.host
        raise InvalidManifest([f"the API server {server} does not answer: {error}"]) from None


def read_cluster(name: str, namespace: str | None) -> tuple[Document, ...]:
    """Return the PretrainJob, its dataset and tokenizer, and all ComputeProfiles.

    Raises:
        InvalidManifest: If the cluster cannot be reached, one of the objects cannot be read, or
            there is no such PretrainJob.
    """
    namespace = connect(namespace)
    with answering() as api:
        bodies = _read(api, namespace, name)
    return tuple(Document("cluster", parse_object(body["kind"], body)) for body in bodies)


def read_object(kind: str, namespace: str, name: str) -> ObservedObject:
    """Return an object; `connect` comes first.

    Raises:
        InvalidManifest: If it cannot be read, or does not exist.
    """
    with answering() as api:
        return parse_object(kind, _require(api, kind, namespace, name))


def find_object(kind: str, namespace: str, name: str) -> ObservedObject | None:
    """Return an object, if it exists; `connect` comes first.

    Raises:
        InvalidManifest: If it cannot be read.
    """
    with answering() as api:
        body = _get(api, kind, namespace, name)
    return None if body is None else parse_object(kind, body)


def read_profiles() -> list[ObservedObject]:
    """Return all ComputeProfiles; `connect` comes first.

    Raises:
        InvalidManifest: If they cannot be read.
    """
    with answering() as api:
        return [parse_object("ComputeProfile", body) for body in _profiles(api)]


def _read(api: client.CustomObjectsApi, namespace: str, name: str) -> list[dict[str, Any]]:
    job = _require(api, "PretrainJob", namespace, name)
    bodies = [job]
    dataset = _get(api, "TokenDataset", namespace, _referenced(job, "data", "datasetRef"))
    if dataset is not None:
        bodies.append(dataset)
        tokenizer = _get(api, "Tokenizer", namespace, _referenced(dataset, "tokenizerRef"))
        bodies += [tokenizer] if tokenizer is not None else []
    return [*bodies, *_profiles(api)]


def _require(api: client.CustomObjectsApi, kind: str, namespace: str, name: str) -> dict[str, Any]:
    value = _get(api, kind, namespace, name)
    if value is None:
        raise InvalidManifest([f"there is no {kind} {name!r} in namespace {namespace!r}"])
    return value


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
