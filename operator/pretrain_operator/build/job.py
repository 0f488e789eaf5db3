"""Pod failure policies of our Jobs: no retry of errors that only the user can fix."""

from typing import Any

from pretrain_api.reports import ExitClass
from pretrain_operator.observed.pods import MAIN_CONTAINER

_FINAL_CODES = sorted(final.exit_code for final in ExitClass if final.is_final)

FAIL_FAST: dict[str, Any] = {
    "action": "FailJob",
    "onExitCodes": {"containerName": MAIN_CONTAINER, "operator": "In", "values": _FINAL_CODES},
}
"""Rule of a pod failure policy: a wrong spec or bad data fails the Job at once."""

_IS_DISRUPTED = [{"type": "DisruptionTarget", "status": "True"}]

FAIL_DISRUPTED: dict[str, Any] = {"action": "FailJob", "onPodConditions": _IS_DISRUPTED}
"""Rule of a pod failure policy: the Job says that a pod was disrupted, when that pod is gone."""

IGNORE_DISRUPTIONS: dict[str, Any] = {
    "action": "Ignore",
    "onPodConditions": _IS_DISRUPTED,
}
"""Rule of a pod failure policy: an evicted or preempted pod is replaced and not counted as failed.

Its backoff still doubles from 10 s to 10 min, as after an error. A task that is evicted too often
is stopped by `plan.failures.eviction_failure`.
"""
