"""Token blocks: errors name the file and the numbers."""

from pathlib import Path

import numpy as np
import pytest

from pretrain_workloads.failures import BadData
from pretrain_workloads.indexed_blocks import index_bytes
from pretrain_workloads.trainer.blocks.block_list import BlockEntry
from pretrain_workloads.trainer.blocks.token_block import TokenBlock

HEADER = b"MMIDIDX\x00\x00" + (1).to_bytes(8, "little")


def write_block(folder: Path, tokens: np.ndarray, indexed: int | None = None) -> Path:
    """Write a block whose index says `indexed` tokens: by default those that there are."""
    count = len(tokens) if indexed is None else indexed
    index = index_bytes(np.array([count - 1, 1], dtype=np.int64), tokens.dtype)
    (folder / "00000.idx").write_bytes(index)
    tokens.tofile(folder / "00000.bin")
    return folder / "00000"


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_a_sequence_ends_with_the_first_id_of_the_next(
    tmp_path: Path, dtype: type[np.generic]
) -> None:
    prefix = write_block(tmp_path, np.arange(31).astype(dtype))
    block = TokenBlock(prefix, BlockEntry("blocks/00000", 3), 10)
    assert block.sequence(0).tolist() == list(range(11))
    assert block.sequence(2).tolist() == list(range(20, 31))
    assert block.sequence(2).dtype == np.int64


@pytest.mark.parametrize(("held", "indexed"), [(30, 30), (31, 30), (30, 31), (32, 32)])
def test_another_number_of_tokens_is_refused_with_all_numbers(
    tmp_path: Path, held: int, indexed: int
) -> None:
    prefix = write_block(tmp_path, np.arange(held, dtype=np.uint16), indexed)
    want = rf"holds {held} tokens, and its index {indexed}, but 3 sequences of 10 need 31"
    with pytest.raises(BadData, match=want):
        TokenBlock(prefix, BlockEntry("blocks/00000", 3), 10)


@pytest.mark.parametrize("content", [b"", b"not an index file at all", HEADER + b"\x63"])
def test_a_broken_index_is_refused_with_its_path(tmp_path: Path, content: bytes) -> None:
    prefix = write_block(tmp_path, np.arange(31, dtype=np.uint16))
    (tmp_path / "00000.idx").write_bytes(content)
    with pytest.raises(BadData, match=r"blocks/00000\.idx: is no index"):
        TokenBlock(prefix, BlockEntry("blocks/00000", 3), 10)
