"""The largest memory of a process."""

import subprocess
import sys

from pretrain_workloads.peak_memory import peak_memory


def test_peak_memory_does_not_count_the_memory_of_the_parent() -> None:
    block = bytearray(300_000_000)
    block[::4096] = b"x" * len(block[::4096])
    code = "from pretrain_workloads.peak_memory import peak_memory; print(peak_memory())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(out.stdout) < 250_000_000
    assert peak_memory() > 300_000_000
