"""The status of a PretrainJob."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pretrain_api.conditions import ConditionType, Reason
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.v1alpha1.pretrainjob import (
    AttemptStatus,
    PretrainJobStatus,
    RunInputs,
)
from pretrain_api.v1alpha1.progress import CheckpointStatus, Progress
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.states import Phase, State, read_status
from pretrain_operator.plan.plans import RunPlan
from pretrain_operator.plan.runs.observed_run import COMPLETE_PHASE
from pretrain_operator.status.conditions import (
    Statement,
    build_conditions,
    shorten,
    state_conditions,
)
from pretrain_operator.status.goodput import compute_goodput


def pretrainjob_status(observed: Observation, plan: RunPlan, now: datetime) -> PretrainJobStatus:
    """Return the next status."""
    owner, state, report = observed.owner, plan.state, plan.report
    previous = read_status(PretrainJobStatus, owner)
    progress = _progress(observed.progress or previous.progress, plan)
    checkpoint = _checkpoint(previous, progress, report)
    attempts = _attempts(previous, plan, progress, checkpoint)
    prediction = plan.prediction or previous.plan
    fields: dict[str, Any] = {
        "observed_generation": owner.generation,
        "phase": state.phase.value,
        "message": shorten(state.message),
        "attempts": attempts,
        "goodput": compute_goodput(attempts, progress, prediction) or previous.goodput,
        "inputs": _inputs(previous, plan),
        "progress": progress,
        "checkpoint": checkpoint,
        "plan": prediction,
        "conditions": build_conditions(
            _statements(state, checkpoint, progress), previous.conditions, owner.generation, now
        ),
    }
    if state.phase is Phase.COMPLETE and report is not None and report.training is not None:
        fields |= {"summary": report.training, "export": report.training.export}
    return previous.model_copy(update=fields)


def _inputs(previous: PretrainJobStatus, plan: RunPlan) -> RunInputs | None:
    """Return the artifacts that the run is bound to, from its first attempt on."""
    if plan.started is not None:
        return plan.started.run.inputs
    return plan.inputs or previous.inputs


def _statements(
    state: State, checkpoint: CheckpointStatus | None, progress: Progress | None
) -> dict[ConditionType, Statement]:
    is_running = state.reason is Reason.ATTEMPT_RUNNING
    return {
        **state_conditions(state),
        ConditionType.RUNNING: Statement(
            "True" if is_running else "False", state.reason, state.message
        ),
        ConditionType.CHECKPOINT_HEALTHY: _checkpoint_health(checkpoint, progress),
        ConditionType.SUSPENDED: (
            Statement("True", state.reason, state.message)
            if state.phase in (Phase.SUSPENDED, Phase.QUEUED)
            else Statement("False", Reason.NOT_SUSPENDED)
        ),
    }


def _checkpoint_health(checkpoint: CheckpointStatus | None, progress: Progress | None) -> Statement:
    unsound = progress.unsound_checkpoints if progress is not None else []
    if unsound:
        steps = ", ".join(map(str, unsound))
        newest = f"; the newest sound one is of step {checkpoint.step}" if checkpoint else ""
        message = f"damaged and set aside: those of step {steps}{newest}"
        return Statement("False", Reason.CHECKPOINT_UNSOUND, message)
    if checkpoint is None:
        return Statement("False", Reason.NO_CHECKPOINT_YET)
    return Statement("True", Reason.CHECKPOINT_SAVED, f"step {checkpoint.step}, {checkpoint.at}")


def _progress(progress: Progress | None, plan: RunPlan) -> Progress | None:
    """Return `progress`, updated from the report of the newest attempt."""
    report = plan.report
    if report is None or report.training is None:
        return progress
    progress = progress or Progress()
    summary = report.training
    fields: dict[str, Any] = {
        "step": summary.to_step,
        "tokens": summary.tokens,
        "epochs": progress.epochs if summary.epochs is None else summary.epochs,
        "loss": progress.loss if summary.loss is None else _rounded(summary.loss),
        "perplexity": _rounded(summary.perplexity) if summary.perplexity else progress.perplexity,
        "bits_per_byte": (
            _rounded(summary.bits_per_byte) if summary.bits_per_byte else progress.bits_per_byte
        ),
        "validation": summary.validation or progress.validation,
        "curve": report.curve or progress.curve,
    }
    if report.exit_class is ExitClass.COMPLETE:
        fields |= {
            "phase": COMPLETE_PHASE,
            "total_steps": plan.train_iters,
            "eta_seconds": 0.0,
            "attempt": plan.attempts[-1].number,
        }
    return progress.model_copy(update=fields)


def _checkpoint(
    previous: PretrainJobStatus, progress: Progress | None, report: ExitReport | None
) -> CheckpointStatus | None:
    """Return the checkpoint that was reported last; its step may be lower after a rollback."""
    if report is not None and report.checkpoint is not None:
        return report.checkpoint
    if progress is not None and progress.checkpoint is not None:
        return progress.checkpoint
    return previous.checkpoint


def _attempts(
    previous: PretrainJobStatus,
    plan: RunPlan,
    progress: Progress | None,
    checkpoint: CheckpointStatus | None,
) -> list[AttemptStatus]:
    """Return the attempts with the steps of those that have just ended, and the one that starts."""
    ended = {attempt.number for attempt in previous.attempts if attempt.reason is not None}
    last = plan.attempts[-1] if plan.attempts else None
    report = plan.report.training if plan.report else None
    attempts = []
    for attempt in plan.attempts:
        fields: dict[str, Any] = {}
        if attempt is last and report is not None:
            # One that found the run complete has trained nothing; its report tells of another one.
            is_reused = plan.report is not None and plan.report.reused
            first = report.to_step if is_reused else report.from_step
            fields = {"from_step": first, "to_step": report.to_step}
        elif attempt is last or attempt.number not in ended:
            fields = _steps_polled(attempt, (progress, previous.progress))
        if attempt.reason not in (None, ExitClass.COMPLETE.value) and "to_step" in fields:
            saved = checkpoint.step if checkpoint else 0
            fields["lost_steps"] = max(0, fields["to_step"] - saved)
        attempts.append(attempt.model_copy(update=fields))
    return [*attempts, plan.started.status] if plan.started else attempts


def _steps_polled(attempt: AttemptStatus, polled: Sequence[Progress | None]) -> dict[str, Any]:
    """Return the step of an attempt at its last poll."""
    own = (item for item in polled if item is not None and item.attempt == attempt.number)
    return {"to_step": newest.step} if (newest := next(own, None)) else {}


def _rounded(value: float) -> float:
    """Return a number with four digits, to fit a printer column; the summary has all digits."""
    return float(f"{value:.4g}")
