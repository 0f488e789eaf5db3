"""The environment that the launcher gives to the ranks."""

from pathlib import Path

import pytest

from pretrain_workloads.trainer.launcher import build_environment

VARIABLES = (
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "TORCHINDUCTOR_CACHE_DIR",
    "TORCHINDUCTOR_COMPILE_THREADS",
    "TRITON_CACHE_DIR",
)
"""Those of the pod win, and torch sets some of them when it is imported."""


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_ranks_on_a_gpu_use_expandable_segments_as_the_planner_assumes() -> None:
    environment = build_environment("cuda", 8, "10.0.0.1")
    assert environment["PYTORCH_ALLOC_CONF"] == "expandable_segments:True"


def test_an_allocator_setting_of_the_profile_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_ALLOC_CONF", "expandable_segments:False")
    environment = build_environment("cuda", 8, "10.0.0.1")
    assert environment["PYTORCH_ALLOC_CONF"] == "expandable_segments:False"


def test_an_allocator_setting_under_the_older_name_is_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # torch reads the older name first, so it decides.
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:64")
    environment = build_environment("cuda", 8, "10.0.0.1")
    assert environment["PYTORCH_CUDA_ALLOC_CONF"] == "max_split_size_mb:64"


def test_ranks_on_cpus_have_no_allocator_setting() -> None:
    assert "PYTORCH_ALLOC_CONF" not in build_environment("cpu", 2, "10.0.0.1")


def test_kernels_are_compiled_into_the_pods_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user of a pod has no home."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("PRETRAIN_ROOT", str(tmp_path))
    environment = build_environment("cuda", 8, "10.0.0.1")
    kernels = str(tmp_path / "scratch/kernels")
    assert environment["TORCHINDUCTOR_CACHE_DIR"] == environment["TRITON_CACHE_DIR"] == kernels


def test_ranks_start_no_processes_that_compile() -> None:
    """Eight ranks of a pod would start 256, each with an import of torch in its memory."""
    assert build_environment("cuda", 8, "10.0.0.1")["TORCHINDUCTOR_COMPILE_THREADS"] == "1"
