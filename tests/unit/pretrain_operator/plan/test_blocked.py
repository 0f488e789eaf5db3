from typing import Any

import pytest

from builders import make_object
from pretrain_api.conditions import Reason
from pretrain_api.problems import InvalidManifest
from pretrain_operator.observed.errors import DependencyNotReady, NameConflict, Refused
from pretrain_operator.observed.states import Phase, State
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
            id="an invalid spec",
        ),
        pytest.param(
            DependencyNotReady(Reason.PROFILE_NOT_FOUND, "there is none"),
            State(Phase.WAITING, Reason.PROFILE_NOT_FOUND, "there is none"),
            id="a missing dependency",
        ),
        pytest.param(
            Refused("exceeded quota"),
            State(Phase.BLOCKED, Reason.CHILD_REJECTED, "the API server refuses: exceeded quota"),
            id="a refusal of the API server",
        ),
    ],
)
def test_an_error_becomes_a_state_with_its_message(error: BlockingError, want: State) -> None:
    assert isinstance(error, BLOCKING)
    assert blocked_state(OWNER, error) == want


@pytest.mark.parametrize(
    ("metadata", "whose"),
    [
        pytest.param({"name": "run-pods"}, "is not ours", id="created by a user"),
        pytest.param(controlled_by("CronJob", "run"), "belongs to CronJob run", id="controlled"),
    ],
)
def test_a_foreign_object_is_reported_with_the_remedy(metadata: dict[str, Any], whose: str) -> None:
    taken = blocked_state(OWNER, NameConflict("Service", metadata))
    assert (taken.phase, taken.reason) == (Phase.BLOCKED, Reason.NAME_TAKEN)
    assert f"Service run-pods in namespace default {whose}" in taken.message
    assert "delete or rename that Service, or give PretrainJob run another name" in taken.message


def test_a_child_of_an_earlier_object_of_the_same_name_is_waited_for() -> None:
    taken = blocked_state(OWNER, NameConflict("Service", controlled_by("PretrainJob", "run")))
    assert (taken.phase, taken.reason) == (Phase.RUNNING, Reason.NAME_TAKEN)
    assert "waits until Service run-pods of an earlier PretrainJob run is gone" in taken.message
