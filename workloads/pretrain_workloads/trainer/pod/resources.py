"""Limits of this pod: its CPU cores, and whether it ran out of memory."""

import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def cores(root: Path = CGROUPS) -> int:
    """Return the number of cores that this process may use: its affinity, within the CPU limit."""
    available = len(os.sched_getaffinity(0))
    for file, read in (("cpu.max", _quota_v2), ("cpu/cpu.cfs_quota_us", _quota_v1)):
        quota = read(root / file)
        if quota:
            available = min(available, max(1, int(quota)))
    return available


def _quota_v2(path: Path) -> float | None:
    words = _read(path).split()
    return int(words[0]) / int(words[1]) if len(words) == 2 and words[0].isdigit() else None


def _quota_v1(path: Path) -> float | None:
    quota, period = _read(path), _read(path.with_name("cpu.cfs_period_us"))
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def memory_kills(root: Path = CGROUPS) -> int:
    """Return how many processes of this pod the kernel's out-of-memory killer has ended so far."""
    own = _read(Path("/proc/self/cgroup")).rpartition("::")[2].lstrip("/")
    for file in (
        root / own / "memory.events",
        root / "memory.events",
        root / "memory/memory.oom_control",
    ):
        for line in _read(file).splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill" and value.isdigit():
                return int(value)
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
