"""Files for TensorBoard: read back with its own format."""

import logging
from pathlib import Path

import pytest

from event_files import read_events
from pretrain_workloads.storage import open_uri
from pretrain_workloads.trainer.progress.event_files import EventFiles


def test_every_part_is_published_whole_and_apart(tmp_path: Path) -> None:
    events = EventFiles(tmp_path / "local", open_uri(f"file://{tmp_path}/run"), attempt=3)
    events.publish()  # nothing to publish
    events.add(1, {"training/loss": 2.5, "speed/mfu": None})
    events.add(2, {"training/loss": 2.0})
    events.publish()
    events.add(3, {"training/loss": 1.5})
    events.publish()
    first, second = sorted(
        (tmp_path / "run/tensorboard/attempt-3").iterdir(), key=lambda path: path.suffix
    )
    assert read_events(first) == [(1, "training/loss", 2.5), (2, "training/loss", 2.0)]
    assert read_events(second) == [(3, "training/loss", 1.5)]


def test_a_run_goes_on_when_its_curves_cannot_be_published(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run").write_text("a file where the folder should be")
    events = EventFiles(tmp_path / "local", open_uri(f"file://{tmp_path}/run"), attempt=1)
    events.add(1, {"training/loss": 2.5})
    with caplog.at_level(logging.WARNING):
        events.publish()
    assert "the curves for TensorBoard are not published" in caplog.text
