"""Where numba keeps compiled kernels: pods are short, so a kernel is compiled once, not in each.

`kernel` replaces `numba.njit`. The compiled code lies beside the source where that may be written,
else in `NUMBA_CACHE_DIR` (an image brings it filled), copied to scratch if it is read-only.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pretrain_workloads.storage import scratch_path

_VARIABLE = "NUMBA_CACHE_DIR"


def kernel[F: Callable[..., Any]](function: F) -> F:
    """Return `function` compiled at its first call, from the cache if it is there."""
    prepare_cache()
    import numba

    compiled: F = numba.njit(cache=True, nogil=True)(function)
    return compiled


def prepare_cache(beside: Path = Path(__file__).parent / "__pycache__") -> None:
    """Point numba at a folder that it may write to, before numba is imported."""
    given = os.environ.get(_VARIABLE)
    if _is_writable(Path(given) if given else beside):
        return
    target = scratch_path() / f"numba-{os.getuid()}"
    if given and Path(given).is_dir():
        shutil.copytree(given, target, dirs_exist_ok=True)
    target.mkdir(parents=True, exist_ok=True)
    os.environ[_VARIABLE] = str(target)


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
