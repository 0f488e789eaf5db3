"""The status of a PretrainJob."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pretrain_api.conditions import ConditionType, Reason
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.v1alpha1.plan import PlanStatus
from pretrain_api.v1alpha1.pretrainjob import (
    AttemptStatus,
    PretrainJobStatus,
    RunInputs,
)
from pretrain_api.v1alpha1.progress import CheckpointStatus, Progress
from pretrain_operator.observed.states import Phase, State
from pretrain_operator.plan.pretrainjob import COMPLETE_PHASE, RunPlan
from pretrain_operator.status.conditions import (
    Statement,
    build_conditions,
    shorten,
    state_conditions,
)


@dataclass(frozen=True)
class RunOutcome:
    """What one reconcile came to."""

    run: RunPlan
    inputs: RunInputs | None
    progress: Progress | None
    """What rank 0 said just now. `None` if nobody asked, or it did not answer."""
    train_iters: int
    """Optimizer steps that the spec asks for."""
    plan: PlanStatus | None = None
    """What the planner says."""


def run_status(
    previous: PretrainJobStatus, outcome: RunOutcome, generation: int, now: datetime
) -> PretrainJobStatus:
    """Return the next status."""
    run, report = outcome.run, outcome.run.report
    state = run.state
    progress = _progress(previous.progress, outcome)
    checkpoint = _checkpoint(previous, progress, report)
    fields: dict[str, Any] = {
        "observed_generation": generation,
        "phase": state.phase.value,
        "message": shorten(state.message),
        "attempts": _attempts(run, progress, checkpoint),
        "inputs": outcome.inputs or previous.inputs,
        "progress": progress,
        "checkpoint": checkpoint,
        "plan": outcome.plan or previous.plan,
        "conditions": build_conditions(
            _statements(state, checkpoint), previous.conditions, generation, now
        ),
    }
    if state.phase is Phase.COMPLETE and report is not None and report.training is not None:
        fields |= {"summary": report.training, "export": report.training.export}
    return previous.model_copy(update=fields)


def _statements(
    state: State, checkpoint: CheckpointStatus | None
) -> dict[ConditionType, Statement]:
    runs = state.reason is Reason.ATTEMPT_RUNNING
    held = state.phase is Phase.SUSPENDED
    saved = (
        Statement("True", Reason.CHECKPOINT_SAVED, f"step {checkpoint.step}, {checkpoint.at}")
        if checkpoint
        else Statement("False", Reason.NO_CHECKPOINT_YET)
    )
    return {
        **state_conditions(state),
        ConditionType.RUNNING: Statement("True" if runs else "False", state.reason, state.message),
        ConditionType.CHECKPOINT_HEALTHY: saved,
        ConditionType.SUSPENDED: (
            Statement("True", Reason.SUSPENDED, state.message)
            if held
            else Statement("False", Reason.NOT_SUSPENDED)
        ),
    }


def _progress(previous: Progress | None, outcome: RunOutcome) -> Progress | None:
    report = outcome.run.report
    progress = outcome.progress or previous
    if report is None or report.training is None:
        return progress
    progress = progress or Progress()
    reached = report.training
    fields: dict[str, Any] = {
        "step": reached.to_step,
        "tokens": reached.tokens,
        "epochs": progress.epochs if reached.epochs is None else reached.epochs,
        "loss": progress.loss if reached.loss is None else _shown(reached.loss),
        "perplexity": _shown(reached.perplexity) if reached.perplexity else progress.perplexity,
        "curve": report.curve or progress.curve,
    }
    if report.exit_class is ExitClass.COMPLETE:
        fields |= {
            "phase": COMPLETE_PHASE,
            "total_steps": outcome.train_iters,
            "eta_seconds": 0.0,
            "attempt": outcome.run.attempts[-1].number,
        }
    return progress.model_copy(update=fields)


def _checkpoint(
    previous: PretrainJobStatus, progress: Progress | None, report: ExitReport | None
) -> CheckpointStatus | None:
    """Return the newest checkpoint; what was said last counts, for a run may be rolled back."""
    if report is not None and report.checkpoint is not None:
        return report.checkpoint
    if progress is not None and progress.checkpoint is not None:
        return progress.checkpoint
    return previous.checkpoint


def _attempts(
    run: RunPlan, progress: Progress | None, checkpoint: CheckpointStatus | None
) -> list[AttemptStatus]:
    if not run.attempts:
        return []
    last = run.attempts[-1]
    fields: dict[str, Any] = {}
    if run.report is not None and run.report.training is not None:
        reached = run.report.training
        fields = {"from_step": reached.from_step, "to_step": reached.to_step}
    elif progress is not None and progress.attempt == last.number:
        fields = {"to_step": progress.step}
    if last.reason not in (None, ExitClass.COMPLETE.value) and "to_step" in fields:
        saved = checkpoint.step if checkpoint else 0
        fields["lost_steps"] = max(0, fields["to_step"] - saved)
    return [*run.attempts[:-1], last.model_copy(update=fields)]


def _shown(value: float) -> float:
    """Return a figure with the four digits that a column has room for; the summary has them all."""
    return float(f"{value:.4g}")
