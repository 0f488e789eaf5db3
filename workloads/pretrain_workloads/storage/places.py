"""Where `/pretrain` really is on this node."""

import os
import tempfile
from pathlib import Path, PurePosixPath

from pretrain_api import paths


def local_path(path: str) -> Path:
    """Return the real path of an absolute `path`; below `/pretrain` it moves with its root."""
    root = os.environ.get(paths.ROOT_VARIABLE)
    pure = PurePosixPath(path)
    if root and pure.is_relative_to(paths.ROOT):
        return Path(root) / pure.relative_to(paths.ROOT)
    return Path(pure)


def scratch_path() -> Path:
    """Return a folder for temporary files: the pod's scratch, or the system's outside a pod."""
    scratch = local_path(paths.SCRATCH)
    return scratch if scratch.is_dir() else Path(tempfile.gettempdir())
