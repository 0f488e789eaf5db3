"""The report of a pod: the cause, not its consequences, in 4,096 bytes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.reports import MAX_REPORT_BYTES, ExitClass, ExitReport
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.progress import (
    CheckpointStatus,
    Continuation,
    CurvePoint,
    Progress,
    TrainingSummary,
)
from pretrain_workloads.termination_message import render_report
from pretrain_workloads.trainer.outcome import RankResults, exit_report, fit_termination_message
from pretrain_workloads.trainer.pod.workspace import KilledRank, ProgressSnapshot, RankReport


def reported(rank: int, exit_class: ExitClass, message: str = "", **more: Any) -> RankReport:
    return RankReport(rank=rank, report=ExitReport(exit_class=exit_class, message=message), **more)


def make_results(**changes: Any) -> RankResults:
    values: dict[str, Any] = {
        "reports": [],
        "killed": [],
        "processes": 2,
        "is_stop_requested": False,
        "was_out_of_memory": False,
        "agent_exit_code": 0,
    }
    return RankResults(**(values | changes))


LOST = reported(0, ExitClass.INFRASTRUCTURE, "lost the connection to node 1", collateral=True)

CAUSES: dict[str, tuple[dict[str, Any], ExitClass, str]] = {
    "all complete": (
        {"reports": [reported(0, ExitClass.COMPLETE), reported(1, ExitClass.COMPLETE)]},
        ExitClass.COMPLETE,
        "",
    ),
    "bad data of one rank": (
        {"reports": [LOST, reported(1, ExitClass.BAD_DATA, "blocks/0")], "agent_exit_code": 1},
        ExitClass.BAD_DATA,
        "blocks/0",
    ),
    "a killed rank of this pod": (
        {
            "reports": [LOST],
            "killed": [KilledRank(rank=0, exit_code=1), KilledRank(rank=1, exit_code=-9)],
            "agent_exit_code": 1,
        },
        ExitClass.INFRASTRUCTURE,
        "rank 1 was killed by SIGKILL",
    ),
    "a killed rank of another pod": (
        {"reports": [LOST], "killed": [KilledRank(rank=0, exit_code=1)], "agent_exit_code": 1},
        ExitClass.INFRASTRUCTURE,
        "lost the connection to node 1",
    ),
    "the kernel's memory killer": (
        {
            "reports": [LOST],
            "killed": [KilledRank(rank=1, exit_code=-9)],
            "agent_exit_code": 1,
            "was_out_of_memory": True,
        },
        ExitClass.OUT_OF_MEMORY,
        "microBatchSize",
    ),
    "a save in the grace period": (
        {
            "reports": [reported(n, ExitClass.PREEMPTED, "saved after step 7") for n in (0, 1)],
            "is_stop_requested": True,
        },
        ExitClass.PREEMPTED,
        "saved after step 7",
    ),
    "no save in the grace period": (
        {"is_stop_requested": True, "agent_exit_code": -9},
        ExitClass.PREEMPTED,
        "no checkpoint could be saved",
    ),
    "one rank that vanished after the others were complete": (
        {
            "reports": [reported(0, ExitClass.COMPLETE)],
            "killed": [KilledRank(rank=1, exit_code=3)],
            "agent_exit_code": 1,
        },
        ExitClass.INFRASTRUCTURE,
        "rank 1 ended with exit code 3, without a report",
    ),
    "no process reports anything": (
        {"agent_exit_code": 1},
        ExitClass.INFRASTRUCTURE,
        "exit code 1 and no report",
    ),
}


@pytest.mark.parametrize("case", CAUSES)
def test_the_cause_is_reported(case: str) -> None:
    changes, want_class, want = CAUSES[case]
    report = exit_report(make_results(**changes), None)
    assert report.exit_class is want_class
    assert want in report.message


def test_a_killed_attempt_still_reports_what_it_reached() -> None:
    points = [CurvePoint(step=n, loss=1.0) for n in range(1, 60)]
    saved = CheckpointStatus(step=50, uri="file:///x", at="2026-01-01T00:00:00+00:00")
    snapshot = ProgressSnapshot(
        progress=Progress(curve=points, checkpoint=saved), summary=TrainingSummary(to_step=59)
    )
    report = exit_report(make_results(agent_exit_code=1), snapshot)
    assert report.checkpoint == saved
    assert report.training == snapshot.summary
    assert len(report.curve) == 24
    assert (report.curve[0], report.curve[-1]) == (points[0], points[-1])


@given(
    prompts=st.lists(st.text(max_size=2048), max_size=32),
    text=st.text(alphabet="床前明月光", max_size=200),
    points=st.integers(0, 24),
    message=st.text(max_size=600),
)
def test_a_report_fits_and_keeps_its_numbers(
    prompts: list[str], text: str, points: int, message: str
) -> None:
    artifact = ArtifactRef(uri="s3://models/" + "x" * 200, digest="d" * 64)
    report = ExitReport(
        exit_class=ExitClass.COMPLETE,
        message=message,
        artifact=artifact,
        training=TrainingSummary(
            to_step=10**6,
            perplexity=12.5,
            continuations=[Continuation(prompt=prompt, text=text) for prompt in prompts],
            export=artifact,
        ),
        curve=[CurvePoint(step=n, loss=1.2345678901234567) for n in range(points)],
    )
    cut = fit_termination_message(report)
    value = render_report(
        cut.model_copy(update={"seconds": 12345.678, "peak_memory_bytes": 10**12})
    )
    assert len(value) <= MAX_REPORT_BYTES
    back = ExitReport.model_validate_json(value)
    assert back.training is not None
    assert back.training.perplexity == 12.5
    assert back.training.export == artifact
