"""The Indexed Job of one attempt of a PretrainJob: one pod for each node."""

from typing import Any

from pretrain_api import paths
from pretrain_api.digests import short
from pretrain_api.meta import ATTEMPT_LABEL, DIGEST_LABEL, RETRY_ANNOTATION, STAGE_LABEL
from pretrain_operator.build.config_map import build_config_map
from pretrain_operator.build.job import FAIL_DISRUPTED, FAIL_FAST
from pretrain_operator.build.metadata import build_metadata, owner_labels
from pretrain_operator.build.pod import PodParts, build_pod_template
from pretrain_operator.build.queues import with_queue
from pretrain_operator.observed.annotations import (
    CONFIG_MAP_ANNOTATION,
    INPUTS_ANNOTATION,
    PLACEMENT_ANNOTATION,
)
from pretrain_operator.observed.objects import ObservedObject
from pretrain_operator.plan.names import service_name
from pretrain_operator.plan.plans import AttemptJob
from pretrain_operator.plan.retry import retry_value


def build_attempt(owner: ObservedObject, attempt: AttemptJob) -> tuple[dict[str, Any], ...]:
    """Return the ConfigMap and the Job of an attempt, in the order in which they are applied."""
    run, placement = attempt.run, attempt.placement
    labels = {
        STAGE_LABEL: "train",
        ATTEMPT_LABEL: str(run.attempt),
        DIGEST_LABEL: short(run.inputs.digest),
    }
    config_map = build_config_map(owner, attempt.name, run, labels)
    config_map_name = config_map["metadata"]["name"]
    annotations = {
        CONFIG_MAP_ANNOTATION: config_map_name,
        PLACEMENT_ANNOTATION: placement.digest,
        INPUTS_ANNOTATION: run.inputs.model_dump_json(by_alias=True),
    }
    if (retry := retry_value(owner)) is not None:
        annotations[RETRY_ANNOTATION] = retry
    parts = PodParts(
        command=("python", "-m", "pretrain_workloads.trainer"),
        config_map=config_map_name,
        secrets=attempt.secrets,
        labels={**owner_labels(owner.key), **labels},
        grace_seconds=run.spec.checkpoint.grace_period,
        avoided_nodes=attempt.status.avoids,
        are_spread=run.spec.parallelism.nodes > 1,
        subdomain=service_name(owner.key.name),
        ports=({"name": "progress", "containerPort": paths.PROGRESS_PORT, "protocol": "TCP"},),
    )
    spec: dict[str, Any] = {
        "completionMode": "Indexed",
        "completions": run.spec.parallelism.nodes,
        "parallelism": run.spec.parallelism.nodes,
        # One failed pod ends the attempt: the others cannot continue without it.
        "backoffLimit": 0,
        "podFailurePolicy": {"rules": [FAIL_DISRUPTED, FAIL_FAST]},
        "template": build_pod_template(parts, placement),
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": build_metadata(owner, attempt.name, labels, annotations),
        "spec": spec,
    }
    return config_map, with_queue(owner, job)
