"""The Indexed Job of one stage of a data kind."""

from typing import Any

from pretrain_api.meta import DIGEST_LABEL, STAGE_LABEL
from pretrain_operator.build.config_map import build_config_map
from pretrain_operator.build.job import FAIL_FAST, IGNORE_DISRUPTIONS
from pretrain_operator.build.metadata import build_metadata, owner_labels
from pretrain_operator.build.pod import PodParts, build_pod_template
from pretrain_operator.observed.annotations import CONFIG_MAP_ANNOTATION, PLACEMENT_ANNOTATION
from pretrain_operator.observed.objects import ObservedObject
from pretrain_operator.plan.failures import RETRIES_PER_TASK
from pretrain_operator.plan.placement import Placement
from pretrain_operator.plan.stages import StageJob

GRACE_SECONDS = 30


def build_stage(
    owner: ObservedObject, stage: StageJob, placement: Placement
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the ConfigMap and the Job of a stage, in the order in which they are applied."""
    labels = {STAGE_LABEL: stage.stage, DIGEST_LABEL: stage.digest}
    told = build_config_map(owner, stage.name, stage.run, labels)
    parts = PodParts(
        command=("python", "-m", stage.program, *stage.arguments),
        config_map=told["metadata"]["name"],
        secrets=stage.secrets,
        labels={**owner_labels(owner.key), **labels},
        grace_seconds=GRACE_SECONDS,
    )
    annotations = {
        PLACEMENT_ANNOTATION: placement.digest,
        CONFIG_MAP_ANNOTATION: told["metadata"]["name"],
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": build_metadata(owner, stage.name, labels, annotations),
        "spec": {
            "completionMode": "Indexed",
            "completions": stage.tasks,
            "parallelism": stage.parallelism,
            "backoffLimitPerIndex": RETRIES_PER_TASK,
            # One task that cannot be done is one too many: the stage would be incomplete.
            "maxFailedIndexes": 0,
            "podFailurePolicy": {"rules": [FAIL_FAST, IGNORE_DISRUPTIONS]},
            "template": build_pod_template(parts, placement),
        },
    }
    return told, job
