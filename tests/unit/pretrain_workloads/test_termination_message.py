"""The termination message: never more than Kubernetes keeps."""

import pytest
from pydantic_core import from_json

from pretrain_api.reports import MAX_REPORT_BYTES, ExitClass, ExitReport
from pretrain_api.v1alpha1.progress import CurvePoint
from pretrain_workloads.termination_message import render_report


@pytest.mark.parametrize(
    "message", ["x" * 100_000, "长" * 5_000, "\U0001f600" * 3_000, '"' * 9_000]
)
def test_a_report_is_never_cut_by_kubernetes(message: str) -> None:
    report = ExitReport(
        exit_class=ExitClass.BAD_DATA,
        message=message,
        counts={f"rule-{number}": number for number in range(200)},
        curve=[CurvePoint(step=step, loss=1.0) for step in range(24)],
    )
    rendered = render_report(report)
    assert len(rendered) <= MAX_REPORT_BYTES
    parsed = ExitReport.model_validate(from_json(rendered))
    assert parsed.exit_class is ExitClass.BAD_DATA
    assert parsed.message.startswith(message[:100])


def test_a_small_report_is_left_whole() -> None:
    report = ExitReport(exit_class=ExitClass.COMPLETE, counts={"read": 7})
    assert ExitReport.model_validate(from_json(render_report(report))) == report
