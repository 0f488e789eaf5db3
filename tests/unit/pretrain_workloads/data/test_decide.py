import pytest

from pretrain_workloads.data.decide import check_documents_remain
from pretrain_workloads.failures import UserError


def prepared(**changes: object) -> dict[str, object]:
    return {"passed": 0, "rejected": {}, "quarantined": {}, "first_bad": []} | changes


def test_nothing_left_says_which_rule_dropped_how_many() -> None:
    tasks = [prepared(rejected={"1-length": 3}), prepared(rejected={"2-repetition": 4})]
    want = "no document is left of 7: rule 2-repetition dropped 4, rule 1-length dropped 3; loosen"
    with pytest.raises(UserError, match=want):
        check_documents_remain(tasks)


def test_nothing_readable_shows_the_first_record() -> None:
    bad = {"source": "s", "path": "a.jsonl", "position": "byte-0", "reason": "invalid JSON: x"}
    tasks = [prepared(quarantined={"invalid JSON": 2}, first_bad=[bad])]
    with pytest.raises(UserError, match=r"all 2 records are unreadable.*s, a.jsonl, byte-0"):
        check_documents_remain(tasks)


def test_no_record_at_all_is_told() -> None:
    with pytest.raises(UserError, match=r"spec.sources: the files hold no document at all"):
        check_documents_remain([prepared()])


def test_one_document_is_enough() -> None:
    check_documents_remain([prepared(), prepared(passed=1)])
