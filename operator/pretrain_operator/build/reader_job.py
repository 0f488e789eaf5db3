"""The Job of a reader: one pod that prints a text, for the command line."""

from dataclasses import dataclass
from typing import Any

from pretrain_api.meta import API_VERSION
from pretrain_api.runs import Run
from pretrain_operator.build.config_map import SPEC_FILE
from pretrain_operator.build.pod import PodParts, build_pod_template
from pretrain_operator.observed.objects import ObservedObject
from pretrain_operator.plan.placement import Placement

READER_LABEL = "app.kubernetes.io/managed-by"
READER = "kubectl-pretrain"

_KEPT_SECONDS = 300
"""How long a Job stays whose command line was ended before it could delete it."""


@dataclass(frozen=True)
class ReaderJob:
    """A reader, before it is a manifest."""

    name: str
    run: Run
    """The document that its pod reads."""
    what: str
    """One of `READINGS`."""
    secrets: tuple[str, ...]
    """Secrets that its pod mounts."""
    placement: Placement
    seconds: int
    """Longest time that it may take."""


def build_reader(owner: ObservedObject, reader: ReaderJob) -> dict[str, Any]:
    """Return the Job. It has none of the labels by which the operator finds children."""
    parts = PodParts(
        command=("python", "-m", "pretrain_workloads.reader", reader.what),
        config_map=reader.name,
        secrets=reader.secrets,
        labels={READER_LABEL: READER},
        grace_seconds=5,
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": reader.name,
            "namespace": owner.key.namespace,
            "labels": {READER_LABEL: READER},
            "ownerReferences": [_reference(API_VERSION, owner.key.kind, owner.key.name, owner.uid)],
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": reader.seconds,
            "ttlSecondsAfterFinished": _KEPT_SECONDS,
            "template": build_pod_template(parts, reader.placement),
        },
    }


def build_document(reader: ReaderJob, job_uid: str) -> dict[str, Any]:
    """Return the ConfigMap that the pod waits for; it is deleted together with the Job."""
    text = reader.run.model_dump_json(by_alias=True, exclude_none=True, indent=2)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": reader.name,
            "namespace": reader.run.namespace,
            "labels": {READER_LABEL: READER},
            "ownerReferences": [_reference("batch/v1", "Job", reader.name, job_uid)],
        },
        "immutable": True,
        "data": {SPEC_FILE: text + "\n"},
    }


def _reference(api_version: str, kind: str, name: str, uid: str) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid}
