"""Parts of tensors in safetensors files, and files that are none."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import open_uri
from pretrain_workloads.trainer.initial_weights.weight_files import WeightFiles


def test_rows_are_those_that_were_saved(tmp_path: Path) -> None:
    dtypes = {"a": torch.float32, "b": torch.bfloat16, "c": torch.float16}
    tensors = {name: torch.randn(7, 3).to(dtype) for name, dtype in dtypes.items()}
    save_file(tensors, tmp_path / "model.safetensors")
    with ExitStack() as stack:
        files = WeightFiles(open_uri(f"file://{tmp_path}"), stack)
        for name, tensor in tensors.items():
            assert files.shape(name) == (7, 3)
            assert torch.equal(files.whole(name), tensor)
            assert torch.equal(files.rows(name, 2, 5), tensor[2:5])
            assert files.rows(name, 4, 4).shape == (0, 3)
        with pytest.raises(ValueError, match="a has 7 rows, not 8"):
            files.rows("a", 5, 8)


def described(**changes: Any) -> bytes:
    entry = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]} | changes
    header = json.dumps({"a": entry}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(16)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"abc",
        (2**40).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        described(dtype="I32"),
        described(shape=[2, 3]),
        described(data_offsets=[-8, 8]),
        described(data_offsets=[0]),
        described(shape=4),
    ],
)
def test_a_file_that_is_none_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with ExitStack() as stack, pytest.raises(UserError, match=r"is no safetensors file of F32"):
        WeightFiles(open_uri(f"file://{tmp_path}"), stack)
