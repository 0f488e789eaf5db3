"""The `.idx` format: what is written can be read, and everything else is refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_workloads.indexed_blocks import (
    BlockIndex,
    index_bytes,
    mask_bytes,
    read_index,
    read_mask,
)


@pytest.mark.parametrize("name", ["uint16", "int32"])
def test_type_and_tokens_of_a_written_index_are_read(tmp_path: Path, name: str) -> None:
    index = tmp_path / "00000.idx"
    index.write_bytes(index_bytes(np.array([3, 4]), np.dtype(name)))
    assert read_index(index) == BlockIndex(np.dtype(name), 7)


@pytest.mark.parametrize(
    ("content", "want"),
    [
        pytest.param(b"", "not an index file", id="empty"),
        pytest.param(b"MMIDIDX", "not an index file", id="truncated"),
        pytest.param(b"something else altogether", "not an index file", id="another format"),
        pytest.param(
            b"MMIDIDX\x00\x00" + (1).to_bytes(8, "little") + b"\x63" + bytes(16),
            "unknown type code 99",
            id="unknown type",
        ),
        pytest.param(
            index_bytes(np.array([3, 4]), np.dtype("uint16"))[:40],
            "cut off after 40 bytes",
            id="cut off",
        ),
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: bytes, want: str) -> None:
    index = tmp_path / "00000.idx"
    index.write_bytes(content)
    with pytest.raises(ValueError, match=want):
        read_index(index)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.data())
def test_any_part_of_a_mask_is_what_was_written(counted: list[bool], data: st.DataObject) -> None:
    content = np.frombuffer(mask_bytes(np.array(counted)), np.uint8)
    start = data.draw(st.integers(0, len(counted)))
    end = data.draw(st.integers(start, len(counted)))
    assert read_mask(content, start, end).tolist() == counted[start:end]
