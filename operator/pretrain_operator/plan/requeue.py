"""When to requeue an object although no watch reports a change."""

from datetime import datetime

from pretrain_api.conditions import Reason
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.states import Phase, State
from pretrain_operator.plan.plans import Plan
from pretrain_operator.plan.waiting import missing_pods_seconds

RESTORE_SECONDS = 30.0
"""How often what starting pods need is looked for: neither Services nor ConfigMaps are watched."""

_SOON_SECONDS, _LATER_SECONDS = 5.0, 30.0


def requeue_after_seconds(plan: Plan, observed: Observation, now: datetime) -> float | None:
    """Return the seconds until the next reconcile; `None` if a watch will report the change."""
    if plan.requeue_at is not None:
        return max(0.0, (plan.requeue_at - now).total_seconds())
    if plan.is_polled:
        return observed.poll_seconds
    seconds = state_seconds(plan.state) or missing_pods_seconds(observed.jobs, now)
    if seconds is None and plan.keep is not None:
        return RESTORE_SECONDS
    return seconds


def state_seconds(state: State) -> float | None:
    """Return the seconds until the next reconcile, for a state whose end no watch reports.

    Secrets are not watched, and the children of an earlier object disappear soon. A foreign
    object, or a refusal of the API server, stays until the user acts.
    """
    match state.phase, state.reason:
        case (_, Reason.SECRET_NOT_FOUND) | (Phase.RUNNING, Reason.NAME_TAKEN):
            return _SOON_SECONDS
        case (_, Reason.CHILD_REJECTED | Reason.NAME_TAKEN):
            return _LATER_SECONDS
    return None
