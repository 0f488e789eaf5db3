"""Limits of the pod: cores and out-of-memory kills."""

from pathlib import Path

from pretrain_workloads.trainer.pod import resources


def test_a_cpu_limit_counts_less_than_a_core_as_one(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert resources.cores(tmp_path) == 1
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert resources.cores(tmp_path) >= 1


def test_kills_for_memory_are_counted_in_both_versions_of_cgroups(tmp_path: Path) -> None:
    assert resources.memory_kills(tmp_path) == 0
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/memory.oom_control").write_text("under_oom 0\noom_kill 3\n")
    assert resources.memory_kills(tmp_path) == 3
    (tmp_path / "memory.events").write_text("low 0\noom 1\noom_kill 2\n")
    assert resources.memory_kills(tmp_path) == 2
