"""Compile kernels with numba once, not in every pod: a pod of a data stage lives for seconds.

The compiled code lies beside its source where that folder is writable, else in `NUMBA_CACHE_DIR`
(an image brings it filled), copied to scratch if it is read-only.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pretrain_workloads.storage import scratch_path

_VARIABLE = "NUMBA_CACHE_DIR"


def kernel[F: Callable[..., Any]](function: F) -> F:
    """Return `function` compiled at its first call, or loaded from the cache.

    Use it instead of `numba.njit`, which would fail where the source folder is read-only.
    """
    prepare_cache(Path(function.__code__.co_filename).parent / "__pycache__")
    import numba

    compiled: F = numba.njit(cache=True, nogil=True)(function)
    return compiled


def prepare_cache(beside: Path) -> None:
    """Point numba at a writable cache folder; call it before numba is imported.

    Args:
        beside: Folder beside the source, which numba uses by default.
    """
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
