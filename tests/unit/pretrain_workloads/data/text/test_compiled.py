import os
from pathlib import Path

import pytest

from pretrain_workloads.data.text.compiled import prepare_cache


@pytest.fixture
def read_only(tmp_path: Path) -> Path:
    """A path where no folder can be made, for root too: below a file."""
    (tmp_path / "file").write_bytes(b"")
    return tmp_path / "file" / "cache"


def test_kernels_are_kept_beside_their_source_where_that_is_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    prepare_cache(tmp_path)
    assert "NUMBA_CACHE_DIR" not in os.environ


def test_kernels_are_kept_in_scratch_otherwise(
    tmp_path: Path, read_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("PRETRAIN_ROOT", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    prepare_cache(read_only)
    assert Path(os.environ["NUMBA_CACHE_DIR"]).parent == tmp_path / "scratch"


def test_a_cache_that_may_be_written_is_used(
    tmp_path: Path, read_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "given"))
    prepare_cache(read_only)
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path / "given")
