import pytest

from builders import parsed_run, run_spec
from pretrain_operator.admission.objects import name_problems, object_problems, refusals


def test_a_good_run_has_no_problems() -> None:
    assert refusals(object_problems("PretrainJob", "run", parsed_run())) == []


def test_problems_of_name_types_and_rules_are_reported_together() -> None:
    spec = run_spec(parallelism={"nodes": 1, "gpusPerNode": 2, "tensor": 3})
    lines = refusals(object_problems("PretrainJob", "Run", spec))
    assert lines[0] == (
        "metadata.name: 'Run' is no DNS subdomain; use small letters, digits, '-' and '.'"
    )
    assert len(lines) > 1


@pytest.mark.parametrize(
    ("name", "message"),
    [("a" * 63, ""), ("a.b-c", ""), ("a" * 64, "has 64 characters; use at most 63"), ("-a", "DNS")],
)
def test_a_name_that_is_no_label_is_refused(name: str, message: str) -> None:
    problems = refusals(name_problems(name))
    assert message in problems[0] if message else problems == []
