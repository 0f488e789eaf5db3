"""The learning rate as a function of the tokens consumed.

A pure function needs no state in a checkpoint: a resumed run cannot disagree with itself.
"""

import math

from pretrain_api.formulas.steps import steps_of
from pretrain_api.v1alpha1.training import TrainingSpec
from pretrain_workloads.failures import UserError

_WSD_FLAT = 0.9
"""Share of the time after the warm-up in which `wsd` keeps the peak."""

_SAME_RATE = 1e-3
"""Largest relative difference of two rates that count as the same: less than a step's change."""


def learning_rate(training: TrainingSpec, tokens: int) -> float:
    """Return the rate of the step that ends when `tokens` are consumed.

    It rises linearly from zero over the warm-up, then falls from the peak to the minimum, which it
    keeps; an anneal phase ends the run with a linear fall to zero.
    """
    steps = steps_of(training)
    length = steps.tokens(steps.count)
    anneal = training.schedule.anneal
    if anneal is None:
        return _before_anneal(training, tokens, length)
    start = length - anneal.tokens
    rate = _before_anneal(training, min(tokens, start), start)
    return rate * min(1.0, max(0.0, length - tokens) / anneal.tokens)


def check_continuity(training: TrainingSpec, tokens: int, before: float | None) -> None:
    """Check that a run goes on with the learning rate `before`, at which it was saved.

    Raises:
        UserError: If the spec has another rate at `tokens` now.
    """
    now = learning_rate(training, tokens)
    if before is None or math.isclose(now, before, rel_tol=_SAME_RATE, abs_tol=1e-12):
        return
    raise UserError(
        f"spec.training.schedule: the learning rate would jump from {before:.4g} to {now:.4g} "
        f"after {tokens:,} tokens, where the run goes on; set decay.tokens so that it does not: to "
        "the tokens of the run before it grew, or, with the shape wsd, beyond these"
    )


def _before_anneal(training: TrainingSpec, tokens: int, length: int) -> float:
    peak, least = training.optimizer.learning_rate, training.optimizer.min_learning_rate
    warmup, decay = training.schedule.warmup.tokens, training.schedule.decay
    if tokens < warmup:
        return peak * tokens / warmup
    if decay.shape == "constant":
        return peak
    end = decay.tokens if decay.tokens is not None else length
    if tokens >= end:
        return least
    done = (tokens - warmup) / (end - warmup)
    return least + (peak - least) * _share_left(decay.shape, done)


def _share_left(shape: str, done: float) -> float:
    """Return the share of the fall that is still to come when `done` of it has passed, both 0 to 1.

    Sources: of the cosine, Loshchilov and Hutter, SGDR (arXiv 1608.03983), equation 5; of `wsd`,
    Hägele et al. (arXiv 2405.18392), section 3: flat, then 1 minus the root over the last tenth.
    """
    match shape:
        case "linear":
            return 1.0 - done
        case "wsd":
            return 1.0 - math.sqrt(max(0.0, done - _WSD_FLAT) / (1.0 - _WSD_FLAT))
    return 0.5 * (1.0 + math.cos(math.pi * done))
