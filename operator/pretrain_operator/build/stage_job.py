"""The Indexed Job of one stage of a data kind."""

from typing import Any

from pretrain_api.meta import DIGEST_LABEL, STAGE_LABEL
from pretrain_operator.build.config_map import build_config_map
from pretrain_operator.build.job import FAIL_FAST, IGNORE_DISRUPTIONS
from pretrain_operator.build.metadata import build_metadata, owner_labels
from pretrain_operator.build.pod import PodParts, build_pod_template
from pretrain_operator.build.queues import with_queue
from pretrain_operator.observed.annotations import CONFIG_MAP_ANNOTATION, PLACEMENT_ANNOTATION
from pretrain_operator.observed.objects import ObservedObject
from pretrain_operator.plan.failures import RETRIES_PER_TASK
from pretrain_operator.plan.plans import StageJob

GRACE_SECONDS = 30


def build_stage(owner: ObservedObject, stage: StageJob) -> tuple[dict[str, Any], ...]:
    """Return the ConfigMap and the Job of a stage, in the order in which they are applied."""
    labels = {STAGE_LABEL: stage.stage, DIGEST_LABEL: stage.digest}
    config_map = build_config_map(owner, stage.name, stage.run, labels)
    config_map_name = config_map["metadata"]["name"]
    parts = PodParts(
        command=("python", "-m", stage.program, *stage.arguments),
        config_map=config_map_name,
        secrets=stage.secrets,
        labels={**owner_labels(owner.key), **labels},
        grace_seconds=GRACE_SECONDS,
    )
    annotations = {
        PLACEMENT_ANNOTATION: stage.placement.digest,
        CONFIG_MAP_ANNOTATION: config_map_name,
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
            # A stage without one of its tasks is incomplete, so the first failed task ends it.
            "maxFailedIndexes": 0,
            "podFailurePolicy": {"rules": [FAIL_FAST, IGNORE_DISRUPTIONS]},
            "template": build_pod_template(parts, stage.placement),
        },
    }
    return config_map, with_queue(owner, job)
