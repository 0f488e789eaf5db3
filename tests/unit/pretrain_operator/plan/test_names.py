import re

from hypothesis import given
from hypothesis import strategies as st

from pretrain_operator.plan.names import (
    MAX_CHILD_NAME,
    attempt_job_name,
    service_name,
    stage_job_name,
)

OWNERS = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", fullmatch=True)
LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


@given(OWNERS, st.integers(1, 10_000))
def test_names_are_dns_labels_with_room_for_the_index_of_a_pod(owner: str, attempt: int) -> None:
    names = [
        attempt_job_name(owner, attempt),
        service_name(owner),
        stage_job_name(owner, "tokenize", "0123456789abcdef"),
    ]
    for name in names:
        assert LABEL.fullmatch(name)
        assert len(name) <= MAX_CHILD_NAME
        assert len(f"{name}-99999") <= 63


@given(OWNERS, OWNERS, st.integers(1, 10_000), st.integers(1, 10_000))
def test_different_attempts_and_owners_have_different_names(
    owner: str, other: str, attempt: int, later: int
) -> None:
    same = (owner, attempt) == (other, later)
    assert (attempt_job_name(owner, attempt) == attempt_job_name(other, later)) is same


@given(OWNERS, OWNERS)
def test_children_of_different_kinds_never_share_a_name(owner: str, other: str) -> None:
    names = {
        attempt_job_name(owner, 1),
        service_name(owner),
        stage_job_name(owner, "list", "01234567"),
        stage_job_name(owner, "report", "01234567"),
    }
    assert len(names) == 4
    assert attempt_job_name(owner, 1) != stage_job_name(other, "list", "01234567")


def test_a_short_name_stays_readable() -> None:
    assert attempt_job_name("llama-1b", 3) == "llama-1b-a3"


def test_a_name_that_is_no_label_becomes_one_that_is_still_unique() -> None:
    dotted, dashed = attempt_job_name("7b.v2", 1), attempt_job_name("7b-v2", 1)
    assert dotted.startswith("p-7b-v2-")
    assert dotted != dashed
