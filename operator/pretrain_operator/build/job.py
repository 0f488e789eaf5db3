"""What all our Jobs share: Indexed, and never retried where only the user can help."""

from typing import Any

from pretrain_api.reports import ExitClass
from pretrain_operator.observed.pods import MAIN_CONTAINER

_FINAL_CODES = sorted(known.exit_code for known in ExitClass if known.is_final)

FAIL_FAST: dict[str, Any] = {
    "action": "FailJob",
    "onExitCodes": {"containerName": MAIN_CONTAINER, "operator": "In", "values": _FINAL_CODES},
}
"""Rule of a pod failure policy: a wrong spec or bad data fails the Job at once."""

IGNORE_DISRUPTIONS: dict[str, Any] = {
    "action": "Ignore",
    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
}
"""Rule of a pod failure policy: an evicted or preempted pod is replaced, free of charge.

Each time later, for Kubernetes doubles a task's delay from 10 s to 10 min after these ends, too.
What nodes evict again and again is ended by `plan.failures.eviction_failure`.
"""
