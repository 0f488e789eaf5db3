"""Builders of pods and Jobs for tests that run them."""

from typing import Any

Json = dict[str, Any]


def make_pod(name: str, script: str, **spec: Any) -> Json:
    """Return a pod that runs a Python script once; keywords go into its spec."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"team": "tests"}},
        "spec": make_pod_spec(make_container(script), **spec),
    }


def make_pod_spec(*containers: Json, **spec: Any) -> Json:
    """Return a pod's spec; like those of the operator, it has no service-account token."""
    base: Json = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 5,
        "containers": [*containers],
    }
    return base | spec


def make_container(script: str, name: str = "main", **fields: Any) -> Json:
    """Return a container that runs a Python script, with the operator's termination path."""
    base: Json = {
        "name": name,
        "image": "none",
        "command": ["python", "-c", script],
        "terminationMessagePath": "/pretrain/termination-log",
    }
    return base | fields


def make_indexed_job(name: str, completions: int, pod_spec: Json, **spec: Any) -> Json:
    """Return an Indexed Job whose pods all run in parallel."""
    base: Json = {
        "completionMode": "Indexed",
        "completions": completions,
        "parallelism": completions,
        "backoffLimit": 0,
        "template": {"spec": pod_spec},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": base | spec,
    }


def terminated(pod: Json, kind: str = "containerStatuses") -> Json:
    """Return how the first container of a pod ended."""
    state: Json = pod["status"][kind][0]["state"]["terminated"]
    return state
