"""Names that are taken: what to say of an object that has the name of a child, and is not ours."""

from collections.abc import Mapping
from typing import Any

from pretrain_api.conditions import Reason
from pretrain_operator.observed.objects import ObservedObject, controller_of
from pretrain_operator.observed.states import Phase, State


def name_conflict(owner: ObservedObject, kind: str, metadata: Mapping[str, Any]) -> State:
    """Return what to say when a `kind` with this metadata is where a child of `owner` has to be.

    What belonged to an object that had the name of `owner` before goes by itself.
    """
    key, name, controller = owner.key, metadata["name"], controller_of(metadata)
    if (controller.get("kind"), controller.get("name")) == (key.kind, key.name):
        message = f"waits until {kind} {name} of an earlier {key.title} is gone"
        return State(Phase.RUNNING, Reason.NAME_TAKEN, message)
    whose = f"belongs to {controller['kind']} {controller['name']}" if controller else "is not ours"
    message = (
        f"{kind} {name} in namespace {key.namespace} {whose}, and is left alone; {key.title} needs"
        f" that name: delete or rename that {kind}, or give {key.title} another name"
    )
    return State(Phase.BLOCKED, Reason.NAME_TAKEN, message)
