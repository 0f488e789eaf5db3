"""All children of an object: the Job that its plan creates, and what the Job's pods need."""

from typing import Any

from pretrain_operator.build.service import build_service
from pretrain_operator.build.stage_job import build_stage
from pretrain_operator.build.trainer_job import build_attempt
from pretrain_operator.observed.objects import ObservedObject
from pretrain_operator.plan.plans import AttemptJob, StageJob


def build_children(
    owner: ObservedObject, job: StageJob | AttemptJob | None
) -> tuple[dict[str, Any], ...]:
    """Return the manifests to apply, in order: the Job comes last."""
    match job:
        case StageJob():
            return build_stage(owner, job)
        case AttemptJob():
            return (build_service(owner), *build_attempt(owner, job))
        case None:
            return ()
