from typing import Any

from pretrain_workloads.data.reporting.losses import (
    MOST_WARNINGS,
    loss_warnings,
    losses_by_step,
    model_warnings,
)


def prepared(size: int, removed: int, **changes: Any) -> dict[str, Any]:
    return {
        "read": {"en": {"documents": 10, "characters": size, "bytes": size}},
        "rejectedByLanguage": {"2-repetition": {"en": {"documents": 3, "bytes": removed}}},
        "damaged": [],
    } | changes


DECIDED: dict[str, Any] = {
    "dropped": {"quality": {}, "exact": {"en": {"documents": 1, "bytes": 9}}, "near": {}}
}


def test_losses_of_all_tasks_are_added_and_stand_in_the_order_of_the_steps() -> None:
    length = {"10-length": {"zh": {"documents": 1, "bytes": 5}}}
    tasks = [prepared(100, 40), prepared(100, 10), prepared(0, 0, rejectedByLanguage=length)]
    losses = losses_by_step(tasks, DECIDED)
    assert list(losses) == ["2-repetition", "10-length", "exact duplicates"]
    assert losses["2-repetition"]["en"] == {"documents": 6, "bytes": 50}


def test_what_quality_removes_in_two_stages_is_one_step() -> None:
    by_minimum = {"996-quality": {"en": {"documents": 2, "bytes": 7}}}
    by_fraction = {"quality": {"en": {"documents": 1, "bytes": 5}}, "exact": {}, "near": {}}
    losses = losses_by_step(
        [prepared(100, 0, rejectedByLanguage=by_minimum)], {"dropped": by_fraction}
    )
    assert losses == {"996-quality": {"en": {"documents": 3, "bytes": 12}}}


def test_a_rule_that_removes_much_of_a_language_is_warned_about() -> None:
    task = prepared(100_000, 57_000)
    (warning,) = loss_warnings(losses_by_step([task], DECIDED), [task])
    assert warning.startswith("rule 2-repetition removed 57% of the bytes in en")


def test_little_text_and_small_losses_are_not_warned_about() -> None:
    for task in (prepared(900, 800), prepared(100_000, 20_000)):
        assert loss_warnings(losses_by_step([task], DECIDED), [task]) == []


def test_damaged_files_are_named_and_warnings_are_bounded() -> None:
    task = prepared(900, 0, damaged=["s3://a/b.gz: cut", "s3://a/c.gz: cut"])
    assert loss_warnings({}, [task]) == ["2 files are damaged, the first: s3://a/b.gz: cut"]
    many = {f"{n}-length": {"en": {"documents": 1, "bytes": 900_000}} for n in range(99)}
    assert len(loss_warnings(many, [prepared(1_000_000, 0)])) == MOST_WARNINGS


def test_a_model_that_guesses_is_warned_about() -> None:
    good = {"accuracy": {"bad": 0.9, "good": 0.7}}
    assert model_warnings({"quality": good}) == []
    guessing = {"accuracy": {"a": 0.1, "b": 0.5, "c": 0.42}}
    (warning,) = model_warnings({"domain": guessing, "quality": good})
    assert warning.startswith("the domain model tells 34% of its held-out samples right")
