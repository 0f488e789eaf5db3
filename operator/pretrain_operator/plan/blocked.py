"""Turn every error that blocks an object into its state."""

from pretrain_api.conditions import Reason
from pretrain_api.problems import InvalidManifest
from pretrain_operator.observed.errors import DependencyNotReady, NameConflict, Refused
from pretrain_operator.observed.objects import ObservedObject, controller_of
from pretrain_operator.observed.states import Phase, State

BLOCKING = (InvalidManifest, DependencyNotReady, NameConflict, Refused)
"""Errors that become a state. All others are logged, and the reconcile is retried."""

type BlockingError = InvalidManifest | DependencyNotReady | NameConflict | Refused


def blocked_state(owner: ObservedObject, error: BlockingError) -> State:
    """Return the state of `owner` after `error`."""
    match error:
        case InvalidManifest():
            return State(Phase.INVALID, Reason.INVALID_SPEC, "; ".join(error.problems))
        case DependencyNotReady():
            return State(Phase.WAITING, error.reason, error.message)
        case NameConflict():
            return _name_conflict(owner, error)
        case Refused():
            message = f"the API server refuses: {error}"
            return State(Phase.BLOCKED, Reason.CHILD_REJECTED, message)


def _name_conflict(owner: ObservedObject, conflict: NameConflict) -> State:
    """Return the state while another object has the name of a child.

    A child of an earlier object of the same kind and name is being deleted, so `owner` waits for
    it. Any other object stays until the user acts.
    """
    key, kind, name = owner.key, conflict.kind, conflict.metadata["name"]
    controller = controller_of(conflict.metadata)
    if (controller.get("kind"), controller.get("name")) == (key.kind, key.name):
        message = f"waits until {kind} {name} of an earlier {key.title} is gone"
        return State(Phase.RUNNING, Reason.NAME_TAKEN, message)
    whose = f"belongs to {controller['kind']} {controller['name']}" if controller else "is not ours"
    message = (
        f"{kind} {name} in namespace {key.namespace} {whose}, and is left alone; {key.title} needs"
        f" that name: delete or rename that {kind}, or give {key.title} another name"
    )
    return State(Phase.BLOCKED, Reason.NAME_TAKEN, message)
