"""Token blocks: errors name the file and the numbers."""

from pathlib import Path

import numpy as np
import pytest

from pretrain_workloads.failures import BadData
from pretrain_workloads.trainer.blocks.block_list import BlockEntry
from pretrain_workloads.trainer.blocks.token_block import TokenBlock

HEADER = b"MMIDIDX\x00\x00" + (1).to_bytes(8, "little")


def write_block(folder: Path, tokens: np.ndarray, code: int) -> Path:
    (folder / "00000.idx").write_bytes(HEADER + bytes([code]))
    tokens.tofile(folder / "00000.bin")
    return folder / "00000"


@pytest.mark.parametrize(("code", "dtype"), [(8, np.uint16), (4, np.int32)])
def test_a_sequence_ends_with_the_first_id_of_the_next(
    tmp_path: Path, code: int, dtype: type[np.generic]
) -> None:
    prefix = write_block(tmp_path, np.arange(31).astype(dtype), code)
    block = TokenBlock(prefix, BlockEntry("blocks/00000", 3), 10)
    assert block.sequence(0).tolist() == list(range(11))
    assert block.sequence(2).tolist() == list(range(20, 31))
    assert block.sequence(2).dtype == np.int64


def test_too_few_tokens_are_refused_with_both_numbers(tmp_path: Path) -> None:
    prefix = write_block(tmp_path, np.arange(30, dtype=np.uint16), 8)
    with pytest.raises(BadData, match=r"holds 30 tokens, but 3 sequences of 10 need 31"):
        TokenBlock(prefix, BlockEntry("blocks/00000", 3), 10)


@pytest.mark.parametrize("content", [b"", b"not an index file at all", HEADER + b"\x63"])
def test_a_broken_index_is_refused_with_its_path(tmp_path: Path, content: bytes) -> None:
    prefix = write_block(tmp_path, np.arange(31, dtype=np.uint16), 8)
    (tmp_path / "00000.idx").write_bytes(content)
    with pytest.raises(BadData, match=r"blocks/00000\.idx: is no index"):
        TokenBlock(prefix, BlockEntry("blocks/00000", 3), 10)
