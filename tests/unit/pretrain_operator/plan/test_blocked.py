from typing import Any

import pytest

from builders import make_object
from pretrain_api.conditions import Reason
from pretrain_api.problems import InvalidManifest
from pretrain_operator.observed.errors import NameConflict, Refused
from pretrain_operator.observed.states import DependencyNotReady, Phase, State
from pretrain_operator.plan.blocked import BLOCKING, BlockingError, blocked_state

OWNER = make_object("PretrainJob", "run")


def controlled_by(kind: str, name: str) -> dict[str, Any]:
    owner = {"kind": kind, "name": name, "uid": "another", "controller": True}
    return {"name": "run-pods", "ownerReferences": [owner]}


@pytest.mark.parametrize(
    ("error", "want"),
    [
        pytest.param(
            InvalidManifest(["spec.a: wrong", "spec.b: wrong"]),
            State(Phase.INVALID, Reason.INVALID_SPEC, "spec.a: wrong; spec.b: wrong"),
            id="every problem of a spec",
        ),
        pytest.param(
            DependencyNotReady(Reason.PROFILE_NOT_FOUND, "there is none"),
            State(Phase.WAITING, Reason.PROFILE_NOT_FOUND, "there is none"),
            id="a dependency",
        ),
        pytest.param(
            Refused("exceeded quota"),
            State(Phase.BLOCKED, Reason.CHILD_REJECTED, "the API server refuses: exceeded quota"),
            id="the API server",
        ),
    ],
)
def test_an_error_becomes_the_state_that_says_what_would_do(
    error: BlockingError, want: State
) -> None:
    assert isinstance(error, BLOCKING)
    assert blocked_state(OWNER, error) == want


@pytest.mark.parametrize(
    ("metadata", "whose"),
    [
        pytest.param({"name": "run-pods"}, "is not ours", id="made by hand"),
        pytest.param(controlled_by("CronJob", "run"), "belongs to CronJob run", id="controlled"),
    ],
)
def test_somebody_elses_object_is_named_with_what_would_do(
    metadata: dict[str, Any], whose: str
) -> None:
    taken = blocked_state(OWNER, NameConflict("Service", metadata))
    assert (taken.phase, taken.reason) == (Phase.BLOCKED, Reason.NAME_TAKEN)
    assert f"Service run-pods in namespace default {whose}" in taken.message
    assert "delete or rename that Service, or give PretrainJob run another name" in taken.message


def test_what_an_earlier_object_of_that_name_left_is_waited_for() -> None:
    taken = blocked_state(OWNER, NameConflict("Service", controlled_by("PretrainJob", "run")))
    assert (taken.phase, taken.reason) == (Phase.RUNNING, Reason.NAME_TAKEN)
    assert "waits until Service run-pods of an earlier PretrainJob run is gone" in taken.message
