"""Numpy arrays as files of a folder: `.npy` for one array, `.npz` for several with names."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_workloads.storage.folder import Folder

type AnyArray = npt.NDArray[Any]


def write_array(folder: Folder, path: str, values: AnyArray) -> None:
    """Write one array, whole or not at all."""
    with folder.publish(path) as publication, publication.local.open("wb") as stream:
        np.save(stream, values)


def read_array(folder: Folder, path: str) -> AnyArray:
    """Return the array that `write_array` wrote."""
    values: AnyArray = np.load(io.BytesIO(folder.read_bytes(path)))
    return values


def write_arrays(folder: Folder, path: str, arrays: dict[str, AnyArray]) -> None:
    """Write several named arrays as one file, whole or not at all."""
    with folder.publish(path) as publication, publication.local.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]  # its stub has `allow_pickle` too


def read_arrays(folder: Folder, path: str) -> dict[str, AnyArray]:
    """Return the arrays that `write_arrays` wrote, by name."""
    with np.load(io.BytesIO(folder.read_bytes(path))) as arrays:
        return dict(arrays)
