"""Which checkpoints exist, are sound, or expired."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.artifacts import ArtifactFile
from pretrain_api.v1alpha1.pretrainjob import CheckpointRetention
from pretrain_workloads.storage import Folder, open_uri
from pretrain_workloads.storage.folder import file_checksum
from pretrain_workloads.trainer.checkpoint import store


def write_checkpoint(folder: Folder, root: Path, step: int) -> store.Marker:
    path = root / store.path_of(step)
    path.mkdir(parents=True)
    files = []
    for name in ("__0_0.distcp", "__1_0.distcp", ".metadata"):
        (path / name).write_bytes(f"{name} of {step}".encode())
        size = (path / name).stat().st_size
        files.append(ArtifactFile(path=name, bytes=size, sha256=file_checksum(path / name)))
    marker = store.Marker(
        step=step,
        samples=step,
        tokens=step,
        at="2026-01-01T00:00:00+00:00",
        layout=[1],
        distributed_optimizer=True,
        files=files,
    )
    text = marker.model_dump_json(by_alias=True, exclude_none=True)
    (path / store.MARKER).write_text(text)
    return marker


def test_complete_checkpoints_are_found_newest_first(tmp_path: Path) -> None:
    folder = open_uri(f"file://{tmp_path}")
    written = [write_checkpoint(folder, tmp_path, step) for step in (5, 100, 20)]
    (tmp_path / store.path_of(200)).mkdir()
    (tmp_path / store.path_of(200) / "__0_0.distcp").write_bytes(b"half")
    found = store.find(folder)
    assert [marker.step for marker in found.markers] == [100, 20, 5]
    assert found.markers[0] == written[1]
    assert found.incomplete == [200]


def test_a_folder_without_checkpoints_has_none(tmp_path: Path) -> None:
    folder = open_uri(f"file://{tmp_path}/nothing")
    assert store.find(folder) == store.Found([], [], [], [])


def test_every_kind_of_damage_is_described_with_the_file(tmp_path: Path) -> None:
    folder = open_uri(f"file://{tmp_path}")
    marker = write_checkpoint(folder, tmp_path, 7)
    path = tmp_path / store.path_of(7)
    assert store.broken_files(folder, marker, 0, 1) == []
    (path / "__0_0.distcp").unlink()
    (path / "__1_0.distcp").write_bytes(b"short")
    (path / ".metadata").write_bytes(b".metadata of 8")
    missing, shorter, changed = store.broken_files(folder, marker, 0, 1)
    assert missing.endswith("/step-0000000007/__0_0.distcp: is missing")
    assert "has 5 bytes instead of" in shorter
    assert changed.endswith(".metadata: its checksum is wrong")
    shares = [text for share in (0, 1) for text in store.broken_files(folder, marker, share, 2)]
    assert sorted(shares) == sorted([missing, shorter, changed])


def test_a_marker_that_cannot_be_read_is_told_apart_from_none(tmp_path: Path) -> None:
    folder = open_uri(f"file://{tmp_path}")
    write_checkpoint(folder, tmp_path, 7)
    (tmp_path / store.path_of(7) / store.MARKER).write_text("{")
    assert store.find(folder) == store.Found([], unreadable=[7], unsound=[], incomplete=[])


def test_a_marker_whose_checksum_is_none_cannot_be_read(tmp_path: Path) -> None:
    folder = open_uri(f"file://{tmp_path}")
    marker = write_checkpoint(folder, tmp_path, 7)
    path = tmp_path / store.path_of(7) / store.MARKER
    path.write_text(path.read_text().replace('"step":7', '"step":7,"readChecksum":"no number"'))
    assert store.find(folder).unreadable == [7]
    path.write_text(marker.model_dump_json(by_alias=True, exclude_none=True))
    assert store.find(folder).unreadable == []


def test_a_checkpoint_that_is_set_aside_keeps_its_files_and_does_not_count(tmp_path: Path) -> None:
    folder = open_uri(f"file://{tmp_path}")
    write_checkpoint(folder, tmp_path, 7)
    write_checkpoint(folder, tmp_path, 9)
    store.set_aside(folder, 9)
    found = store.find(folder)
    assert [marker.step for marker in found.markers] == [7]
    assert (found.unsound, found.incomplete) == ([9], [])
    assert (tmp_path / store.path_of(9) / "__0_0.distcp").exists()


@given(
    steps=st.lists(st.integers(1, 1000), unique=True),
    last=st.integers(1, 5),
    every=st.none() | st.integers(1, 10),
)
def test_the_newest_and_the_milestones_stay(steps: list[int], last: int, every: int | None) -> None:
    gone = store.expired(steps, CheckpointRetention(last=last, every_steps=every))
    stay = set(steps) - set(gone)
    assert set(sorted(steps)[-last:]) <= stay
    if every:
        assert not [step for step in gone if step % every == 0]
    else:
        assert len(stay) == min(last, len(steps))
