"""What `kubectl pretrain curve` shows of a run: its loss, and what happened on the way."""

from dataclasses import dataclass

from pretrain_api.formulas.steps import steps_of
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec, PretrainJobStatus
from pretrain_api.v1alpha1.progress import (
    CurvePoint,
    Progress,
    TrainingSummary,
    ValidationLoss,
)
from pretrain_operator.planner.descriptions import duration_text


@dataclass(frozen=True)
class Mark:
    """Something that happened at a step."""

    step: int
    kind: str
    """`attempt`, `rollback` or `phase`."""
    text: str


@dataclass(frozen=True)
class Curve:
    """The loss of a run over its steps, and all that is told beside it."""

    name: str
    points: tuple[CurvePoint, ...]
    """No more than 64."""
    marks: tuple[Mark, ...]
    """In the order of their steps."""
    losses: tuple[ValidationLoss, ...]
    """Held-out loss: of each validation set, or of the only one."""
    headline: str
    """How far the run is."""


def curve_of(name: str, spec: PretrainJobSpec, status: PretrainJobStatus) -> Curve:
    """Return the curve of a run in any phase; one that has not started has no points."""
    points = status.progress.curve if status.progress else []
    marks = (*_phases(spec), *_attempts(status), *_rollbacks(status))
    return Curve(
        name=name,
        points=tuple(points),
        marks=tuple(sorted(marks, key=lambda mark: mark.step)),
        losses=_losses(status),
        headline=_headline(spec, status),
    )


def _phases(spec: PretrainJobSpec) -> list[Mark]:
    """Return where the schedule changes within the run."""
    schedule, steps = spec.training.schedule, steps_of(spec.training)
    end = steps.tokens(steps.count)
    changes = [(schedule.warmup.tokens, "the warm-up ends")]
    if schedule.decay.tokens is not None and schedule.decay.shape != "constant":
        changes.append((schedule.decay.tokens, "the decay ends"))
    if schedule.anneal is not None:
        changes.append((end - schedule.anneal.tokens, "the annealing begins"))
    marks = [Mark(steps.done_at(tokens), "phase", text) for tokens, text in changes]
    marks += [
        Mark(phase.first_step, "phase", f"steps of {phase.batch_size:,} sequences begin")
        for phase in steps.phases[1:]
    ]
    return [mark for mark in marks if 0 < mark.step < steps.count]


def _attempts(status: PretrainJobStatus) -> list[Mark]:
    """Return where attempts went on, and why the ones before them had ended."""
    marks = []
    for before, attempt in zip(status.attempts, status.attempts[1:], strict=False):
        step = attempt.from_step
        if step is None:
            saved = (before.to_step or 0) - (before.lost_steps or 0)
            step = max(0, saved)
        text = f"attempt {attempt.number} goes on; the last one ended: {before.reason or 'unknown'}"
        marks.append(Mark(step, "attempt", text))
    return marks


def _rollbacks(status: PretrainJobStatus) -> list[Mark]:
    rollbacks = status.progress.rollbacks if status.progress else []
    return [
        Mark(
            one.step,
            "rollback",
            f"{one.cause} in block {one.block}: back to step {one.resume_step}, without "
            f"{one.samples:,} samples",
        )
        for one in rollbacks
    ]


def _losses(status: PretrainJobStatus) -> tuple[ValidationLoss, ...]:
    """Return the newest held-out losses; those of before the first step come with the results."""
    progress, summary = status.progress or Progress(), status.summary or TrainingSummary()
    if sets := summary.validation or progress.validation:
        return tuple(sets)
    perplexity = summary.perplexity or progress.perplexity
    if perplexity is None:
        return ()
    only = ValidationLoss(
        name="held-out text",
        perplexity=perplexity,
        initial_perplexity=summary.initial_perplexity,
        bits_per_byte=summary.bits_per_byte or progress.bits_per_byte,
        initial_bits_per_byte=summary.initial_bits_per_byte,
    )
    return (only,)


def _headline(spec: PretrainJobSpec, status: PretrainJobStatus) -> str:
    progress = status.progress
    parts = [status.phase]
    if progress is not None:
        total = progress.total_steps or steps_of(spec.training).count
        parts.append(f"step {progress.step:,} of {total:,}")
        parts.append(f"{progress.tokens:,} tokens")
        if progress.loss is not None:
            parts.append(f"loss {progress.loss:.4g}")
        if progress.eta_seconds:
            parts.append(f"{duration_text(progress.eta_seconds)} left")
    if status.goodput is not None:
        parts.append(f"goodput {100 * status.goodput.share:.1f} %")
    return ", ".join(parts)
