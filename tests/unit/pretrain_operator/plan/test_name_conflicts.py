from typing import Any

import pytest

from builders import make_object
from pretrain_operator.observed.states import Phase
from pretrain_operator.plan.name_conflicts import name_conflict

OWNER = make_object("PretrainJob", "run")


def controlled_by(kind: str, name: str) -> dict[str, Any]:
    owner = {"kind": kind, "name": name, "uid": "another", "controller": True}
    return {"name": "run-pods", "ownerReferences": [owner]}


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
    taken = name_conflict(OWNER, "Service", metadata)
    assert taken.phase is Phase.BLOCKED
    assert f"Service run-pods in namespace default {whose}" in taken.message
    assert "delete or rename that Service, or give PretrainJob run another name" in taken.message
    assert taken.look_again_seconds == 30


def test_what_an_earlier_object_of_that_name_left_is_waited_for() -> None:
    taken = name_conflict(OWNER, "Service", controlled_by("PretrainJob", "run"))
    assert taken.phase is Phase.RUNNING
    assert "waits until Service run-pods of an earlier PretrainJob run is gone" in taken.message
    assert taken.look_again_seconds == 5
