"""What the demo shows and applies, without a cluster."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from pretrain_api import paths
from pretrain_api.meta import DEFAULT_PROFILE_ANNOTATION
from pretrain_api.v1alpha1.pretrainjob import PretrainJobStatus
from pretrain_api.v1alpha1.progress import CurvePoint
from pretrain_api.v1alpha1.tokenizer import TokenizerStatus
from pretrain_local.demo import manifests, results, text_sources, view
from pretrain_local.demo.snapshots import ObjectSnapshot, is_over

NOW = "2026-01-01T00:00:00Z"


def condition(kind: str, status: str = "True") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": "Why", "lastTransitionTime": NOW}


def seen_run(**status: Any) -> ObjectSnapshot:
    return ObjectSnapshot("PretrainJob", "run", PretrainJobStatus.model_validate(status))


def test_the_demo_is_over_when_the_run_is_complete_or_anything_has_failed() -> None:
    waiting = ObjectSnapshot("Tokenizer", "tokens", None)
    assert not is_over([waiting, seen_run()])
    assert is_over([waiting, seen_run(conditions=[condition("Complete")])])
    failed = TokenizerStatus.model_validate({"conditions": [condition("Stalled")]})
    assert is_over([ObjectSnapshot("Tokenizer", "tokens", failed), seen_run()])


def test_a_running_run_is_described_by_its_step_loss_and_speed() -> None:
    progress = {"phase": "training", "step": 3, "totalSteps": 9, "loss": 2.5, "etaSeconds": 60}
    text = view.describe(seen_run(phase="Running", progress=progress))
    assert "step 3/9" in text
    assert "loss 2.500" in text
    assert "ETA 60 s" in text


def test_a_stage_is_described_by_its_counts() -> None:
    stage = {"name": "train", "job": "j", "tasks": 2, "succeeded": 1, "counts": {"read": 1234}}
    status = TokenizerStatus.model_validate({"phase": "Running", "stages": [stage]})
    one = ObjectSnapshot("Tokenizer", "tokens", status)
    assert view.describe(one) == "train 1/2  read 1,234"
    assert view.progress(one) == (1, 2)


@example([0.0, 2.2250738585e-313])
@given(st.lists(st.floats(0, 20), max_size=40))
def test_a_sparkline_never_grows_wider_than_asked(values: list[float]) -> None:
    assert len(view.spark(values, width=16)) <= 16


def test_the_loss_curve_is_plotted_as_plain_text_and_as_a_picture(tmp_path: Path) -> None:
    points = [CurvePoint(step=step, loss=9.0 / step) for step in range(1, 30)]
    text = results.terminal_plot(points, width=60)
    assert "training loss" in text
    assert "\x1b" not in text
    results.plot(points, tmp_path / "loss.png")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_the_overlay_points_at_the_quickstart_wherever_it_lies(tmp_path: Path) -> None:
    quickstart = tmp_path / "a" / "examples"
    manifests.write_overlay(tmp_path / "b" / "c" / "overlay", quickstart, tmp_path / "data")
    text = (tmp_path / "b" / "c" / "overlay" / "kustomization.yaml").read_text()
    assert yaml.safe_load(text)["resources"] == ["../../../a/examples"]
    assert str(tmp_path / "data") in text


def profile(name: str, *, default: bool = False, path: str = "/pretrain/data") -> dict[str, Any]:
    volume = {"name": "data", "mountPath": path, "persistentVolumeClaim": "corpus"}
    annotations = {DEFAULT_PROFILE_ANNOTATION: "true"} if default else {}
    return {
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"images": {"data": f"{name}:1"}, "pods": {"volumes": [volume]}},
    }


def test_text_is_copied_through_the_default_profile() -> None:
    pod: Any = manifests.loader_pod("loader", [profile("gpu"), profile("cpu", default=True)])
    assert pod["spec"]["containers"][0]["image"] == "cpu:1"
    assert pod["spec"]["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "corpus"}}
    ]
    assert pod["spec"]["securityContext"]["fsGroup"] == paths.GROUP


@pytest.mark.parametrize(
    ("profiles", "named"),
    [
        ([], "0 ComputeProfiles"),
        ([profile("a"), profile("b")], "2 ComputeProfiles"),
        ([profile("a", path="/pretrain/other")], "/pretrain/data"),
    ],
)
def test_a_cluster_without_a_usable_profile_is_refused(
    profiles: list[dict[str, Any]], named: str
) -> None:
    with pytest.raises(LookupError, match=named):
        manifests.loader_pod("loader", profiles)


@given(st.lists(st.text(alphabet="ab ", min_size=1, max_size=50), min_size=1, max_size=30))
def test_cutting_a_book_loses_no_paragraph(paragraphs: list[str]) -> None:
    words = " ".join(paragraphs).split()
    text = "\n\n".join(paragraphs)
    assert " ".join(text_sources.pages(text)).split() == words
