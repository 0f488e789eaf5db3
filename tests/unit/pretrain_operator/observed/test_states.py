"""What is read back from a status: written by us, by an earlier version, or by somebody else."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import NOW, make_object, ready_status
from pretrain_api.conditions import Condition, Reason
from pretrain_api.kinds import KINDS
from pretrain_api.v1alpha1.data_status import DataStatus
from pretrain_api.v1alpha1.pretrainjob import PretrainJobStatus
from pretrain_operator.observed.clock import format_time, parse_time, seconds_between
from pretrain_operator.observed.states import (
    Phase,
    State,
    is_ready,
    last_end,
    last_failure,
    read_status,
)

junk: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
FIELDS = sorted({field.alias or "" for field in PretrainJobStatus.model_fields.values()})


@settings(max_examples=50)
@given(
    st.sampled_from(KINDS),
    st.dictionaries(st.sampled_from([*FIELDS, "stages", "artifact", "unknown"]), junk),
)
def test_any_status_is_read_and_an_unreadable_one_is_empty(kind: Any, status: Any) -> None:
    read = read_status(kind.status, make_object(kind.name, status=status))
    known = {f.alias for f in kind.status.model_fields.values()}
    is_readable = True
    try:
        kind.status.model_validate({k: v for k, v in status.items() if k in known}, extra="ignore")
    except ValueError:
        is_readable = False
    assert is_readable or read == kind.status()


def condition(kind: str, status: str, reason: str) -> Condition:
    return Condition.model_validate(
        {"type": kind, "status": status, "reason": reason, "lastTransitionTime": format_time(NOW)}
    )


@pytest.mark.parametrize(
    ("listed", "want"),
    [
        ([], None),
        ([("Failed", "False", "NotFailed")], None),
        ([("Failed", "Unknown", "BadData")], None),
        ([("Failed", "True", "BadData")], State(Phase.FAILED, Reason.BAD_DATA)),
        ([("Failed", "True", "ReasonOfALaterVersion")], State(Phase.FAILED, Reason.STAGE_FAILED)),
        ([("Complete", "True", "Complete")], State(Phase.COMPLETE, Reason.COMPLETE)),
        (
            [("Failed", "True", "BadData"), ("Complete", "True", "Complete")],
            State(Phase.COMPLETE, Reason.COMPLETE),
        ),
    ],
)
def test_the_end_of_an_object_is_read_from_true_conditions_only(
    listed: list[tuple[str, str, str]], want: State | None
) -> None:
    conditions = [condition(*item) for item in listed]
    assert last_end(conditions) == want
    assert last_end(iter(conditions)) == want, "also from an iterator, which is read once"
    failed = [item for item in conditions if item.type == "Failed" and item.status == "True"]
    assert (last_failure(conditions) is None) == (not failed)


@pytest.mark.parametrize(
    ("changes", "want"),
    [
        ({}, True),
        ({"observedGeneration": None}, False),
        ({"observedGeneration": 2}, False),
        ({"artifact": None}, False),
        ({"artifact": {"uri": "s3://b"}}, False),
        ({"conditions": []}, False),
    ],
)
def test_an_artifact_is_ready_only_for_the_generation_that_it_was_made_for(
    changes: dict[str, Any], want: bool
) -> None:
    observed = make_object("DataPipeline", status={**ready_status("x"), **changes})
    assert is_ready(read_status(DataStatus, observed), observed) is want


@given(st.datetimes(datetime(1970, 1, 2), datetime(9999, 1, 1), timezones=st.timezones()))
def test_times_are_read_back_to_the_second(at: Any) -> None:
    text = format_time(at)
    assert text.endswith("Z")
    assert abs((parse_time(text) - at).total_seconds()) < 1
    assert format_time(parse_time(text)) == text


def test_a_clock_that_runs_behind_is_no_negative_time() -> None:
    assert seconds_between("2099-01-01T00:00:00Z", NOW) == 0.0
    assert seconds_between("2026-01-02T03:04:00", NOW) == 5.0, "without a zone, it is UTC"
