"""The status of one stage, from its Job, its pods' reports and its previous status."""

import math
from collections import Counter
from collections.abc import Iterable

from pretrain_api.meta import LARGEST_INTEGER
from pretrain_api.reports import ExitReport
from pretrain_api.v1alpha1.data_status import ArtifactRef, StageStatus
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.plan.plans import StageJob


def stage_status(
    planned: StageJob, job: ObservedJob | None, previous: StageStatus | None
) -> StageStatus:
    """Return the status of a stage; the results of pods that are gone are kept."""
    stage, name, tasks = planned.stage, planned.name, planned.tasks
    previous = previous or StageStatus(name=stage, job=name, tasks=tasks)
    if job is None:
        return previous
    reports = [pod.report for pod in job.pods if pod.phase == "Succeeded" and pod.report]
    seconds = round(sum(r.seconds for r in reports if math.isfinite(r.seconds)), 3)
    fresh = seconds >= previous.seconds
    return StageStatus(
        name=stage,
        job=name,
        tasks=tasks,
        succeeded=max(job.succeeded, previous.succeeded),
        started_at=job.started_at or previous.started_at,
        finished_at=job.finished_at or previous.finished_at,
        artifact=_artifact(reports) or previous.artifact,
        counts=_sum_counts(reports) if fresh else previous.counts,
        seconds=max(seconds, previous.seconds),
        peak_memory_bytes=max(
            [previous.peak_memory_bytes, *(report.peak_memory_bytes for report in reports)]
        ),
    )


def is_finished(stage: StageStatus) -> bool:
    """Return whether all tasks of a stage have succeeded, according to its status."""
    return stage.finished_at is not None and stage.succeeded >= stage.tasks > 0


def _sum_counts(reports: Iterable[ExitReport]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for report in reports:
        total.update(report.counts)
    return {name: min(count, LARGEST_INTEGER) for name, count in sorted(total.items())}


def _artifact(reports: Iterable[ExitReport]) -> ArtifactRef | None:
    return next((report.artifact for report in reports if report.artifact), None)
