"""The largest memory that a workload used."""

import resource
from pathlib import Path


def peak_memory() -> int:
    """Return the largest resident memory of this process and of its children, in bytes.

    `getrusage` of this process also counts its parent's memory from before `exec`, so the kernel's
    high-water mark takes precedence.
    """
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        own = int(status.split("VmHWM:", 1)[1].split()[0]) * 1024
    except (OSError, IndexError, ValueError):
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return max(own, children)
