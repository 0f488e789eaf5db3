"""Paths of this machine: where `/pretrain` really is, and where temporary files go."""

import os
import tempfile
from pathlib import Path, PurePosixPath

from pretrain_api import paths


def local_path(path: str) -> Path:
    """Return the real path of an absolute `path`.

    A path below `/pretrain` moves with the environment variable `paths.ROOT_VARIABLE`, if that is
    set: nodes without containers give each pod a root of its own.
    """
    root = os.environ.get(paths.ROOT_VARIABLE)
    pure = PurePosixPath(path)
    if root and pure.is_relative_to(paths.ROOT):
        return Path(root) / pure.relative_to(paths.ROOT)
    return Path(pure)


def scratch_path() -> Path:
    """Return a folder for temporary files: the pod's scratch volume, or the system's folder."""
    scratch = local_path(paths.SCRATCH)
    return scratch if scratch.is_dir() else Path(tempfile.gettempdir())
