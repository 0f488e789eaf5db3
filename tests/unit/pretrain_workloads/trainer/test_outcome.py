"""What a pod says in the end: the cause, not what followed from it, in 4,096 bytes."""

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
from pretrain_workloads.exit import render_report
from pretrain_workloads.trainer.outcome import Observed, conclude, cut_to_size
from pretrain_workloads.trainer.pod.workspace import Killed, Note, RankReport
from pretrain_workloads.trainer.progress.curve import MAX_POINTS, LossCurve, shortened


def said(rank: int, exit_class: ExitClass, message: str = "", **more: Any) -> RankReport:
    return RankReport(rank=rank, report=ExitReport(exit_class=exit_class, message=message), **more)


def make_observed(**changes: Any) -> Observed:
    values: dict[str, Any] = {
        "reports": [],
        "killed": [],
        "processes": 2,
        "is_stop_asked": False,
        "was_out_of_memory": False,
        "agent_exit_code": 0,
    }
    return Observed(**(values | changes))


LOST = said(0, ExitClass.INFRASTRUCTURE, "lost the connection to node 1", collateral=True)

CAUSES: dict[str, tuple[dict[str, Any], ExitClass, str]] = {
    "all complete": (
        {"reports": [said(0, ExitClass.COMPLETE), said(1, ExitClass.COMPLETE)]},
        ExitClass.COMPLETE,
        "",
    ),
    "bad data of one rank": (
        {"reports": [LOST, said(1, ExitClass.BAD_DATA, "blocks/0")], "agent_exit_code": 1},
        ExitClass.BAD_DATA,
        "blocks/0",
    ),
    "a killed rank of this pod": (
        {
            "reports": [LOST],
            "killed": [Killed(rank=0, exit_code=1), Killed(rank=1, exit_code=-9)],
            "agent_exit_code": 1,
        },
        ExitClass.INFRASTRUCTURE,
        "rank 1 was killed by SIGKILL",
    ),
    "a killed rank of another pod": (
        {"reports": [LOST], "killed": [Killed(rank=0, exit_code=1)], "agent_exit_code": 1},
        ExitClass.INFRASTRUCTURE,
        "lost the connection to node 1",
    ),
    "the kernel's memory killer": (
        {
            "reports": [LOST],
            "killed": [Killed(rank=1, exit_code=-9)],
            "agent_exit_code": 1,
            "was_out_of_memory": True,
        },
        ExitClass.OUT_OF_MEMORY,
        "microBatchSize",
    ),
    "a save in the grace period": (
        {
            "reports": [said(n, ExitClass.PREEMPTED, "saved after step 7") for n in (0, 1)],
            "is_stop_asked": True,
        },
        ExitClass.PREEMPTED,
        "saved after step 7",
    ),
    "no save in the grace period": (
        {"is_stop_asked": True, "agent_exit_code": -9},
        ExitClass.PREEMPTED,
        "no checkpoint could be saved",
    ),
    "one rank that vanished after the others were complete": (
        {
            "reports": [said(0, ExitClass.COMPLETE)],
            "killed": [Killed(rank=1, exit_code=3)],
            "agent_exit_code": 1,
        },
        ExitClass.INFRASTRUCTURE,
        "rank 1 ended with exit code 3, without a report",
    ),
    "nobody says anything": (
        {"agent_exit_code": 1},
        ExitClass.INFRASTRUCTURE,
        "exit code 1 and no report",
    ),
}


@pytest.mark.parametrize("case", CAUSES)
def test_the_cause_is_reported(case: str) -> None:
    changes, want_class, want = CAUSES[case]
    report = conclude(make_observed(**changes), None)
    assert report.exit_class is want_class
    assert want in report.message


def test_a_killed_attempt_still_tells_what_it_reached() -> None:
    points = [CurvePoint(step=n, loss=1.0) for n in range(1, 60)]
    saved = CheckpointStatus(step=50, uri="file:///x", at="2026-01-01T00:00:00+00:00")
    note = Note(
        progress=Progress(curve=points, checkpoint=saved), summary=TrainingSummary(to_step=59)
    )
    report = conclude(make_observed(agent_exit_code=1), note)
    assert report.checkpoint == saved
    assert report.training == note.summary
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
    cut = cut_to_size(report)
    value = render_report(
        cut.model_copy(update={"seconds": 12345.678, "peak_memory_bytes": 10**12})
    )
    assert len(value) <= MAX_REPORT_BYTES
    back = ExitReport.model_validate_json(value)
    assert back.training is not None
    assert back.training.perplexity == 12.5
    assert back.training.export == artifact


@given(steps=st.integers(1, 3000))
def test_a_curve_is_bounded_and_keeps_its_ends(steps: int) -> None:
    curve = LossCurve()
    for step in range(1, steps + 1):
        curve.add(step, float(step))
    kept = [point.step for point in curve.points]
    assert len(kept) <= MAX_POINTS
    assert (kept[0], kept[-1]) == (1, steps)
    assert kept == sorted(set(kept))


@given(steps=st.integers(2, 800), stop=st.integers(1, 799))
def test_a_resumed_curve_has_the_points_of_the_undisturbed_one(steps: int, stop: int) -> None:
    whole, first = LossCurve(), LossCurve()
    for step in range(1, steps + 1):
        whole.add(step, float(step))
        if step <= stop:
            first.add(step, float(step))
    resumed = LossCurve(first.points)
    for step in range(stop + 1, steps + 1):
        resumed.add(step, float(step))
    assert {point.step for point in whole.points} <= {point.step for point in resumed.points}


@given(size=st.integers(0, 100), at_most=st.integers(2, 30))
def test_a_shortened_curve_keeps_its_ends(size: int, at_most: int) -> None:
    points = [CurvePoint(step=n, loss=0.0) for n in range(size)]
    short = shortened(points, at_most)
    assert len(short) == min(size, at_most)
    assert short[:1] == points[:1]
    assert short[-1:] == points[-1:]
