from pathlib import Path

import numpy as np

from pretrain_workloads.storage import open_uri
from pretrain_workloads.storage.arrays import read_array, read_arrays, write_array, write_arrays


def test_an_array_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = open_uri(f"file://{tmp_path}")
    values = np.array([(1, 0.5), (2, 1.0)], np.dtype([("number", "i8"), ("share", "f4")]))
    write_array(folder, "a/values.npy", values)
    assert read_array(folder, "a/values.npy").dtype == values.dtype
    assert read_array(folder, "a/values.npy").tolist() == values.tolist()


def test_named_arrays_share_a_file(tmp_path: Path) -> None:
    folder = open_uri(f"file://{tmp_path}")
    write_arrays(folder, "both.npz", {"first": np.arange(3), "second": np.empty(0, np.uint16)})
    arrays = read_arrays(folder, "both.npz")
    assert sorted(arrays) == ["first", "second"]
    assert arrays["first"].tolist() == [0, 1, 2]
    assert arrays["second"].dtype == np.uint16
