"""Token blocks: what is broken is told with its file and numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_workloads.failures import BadData
from pretrain_workloads.trainer.blocks.blocks import Block, Entry, parse_index

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
    block = Block(prefix, Entry("blocks/00000", 3), 10)
    assert block.sequence(0).tolist() == list(range(11))
    assert block.sequence(2).tolist() == list(range(20, 31))
    assert block.sequence(2).dtype == np.int64


def test_too_few_tokens_are_told_with_both_numbers(tmp_path: Path) -> None:
    prefix = write_block(tmp_path, np.arange(30, dtype=np.uint16), 8)
    with pytest.raises(BadData, match=r"holds 30 tokens, but 3 sequences of 10 need 31"):
        Block(prefix, Entry("blocks/00000", 3), 10)


@pytest.mark.parametrize("content", [b"", b"not an index file at all", HEADER + b"\x63"])
def test_a_broken_index_is_told_with_its_path(tmp_path: Path, content: bytes) -> None:
    prefix = write_block(tmp_path, np.arange(31, dtype=np.uint16), 8)
    (tmp_path / "00000.idx").write_bytes(content)
    with pytest.raises(BadData, match=r"blocks/00000\.idx: is no index"):
        Block(prefix, Entry("blocks/00000", 3), 10)


def test_a_list_of_blocks_is_read() -> None:
    text = json.dumps(
        {
            "sequenceLength": 256,
            "vocabularySize": 8192,
            "blocks": [{"path": "blocks/00000", "sequences": 5, "tokens": 1280}],
            "validation": [{"path": "validation/00000", "sequences": 2, "tokens": 512}],
        }
    )
    index = parse_index(text, "uri")
    assert index.blocks == [Entry("blocks/00000", 5)]
    assert index.validation == [Entry("validation/00000", 2)]


def test_a_dataset_without_sequences_is_bad_data() -> None:
    with pytest.raises(BadData, match="holds no sequence of 256 tokens"):
        parse_index('{"sequenceLength": 256, "vocabularySize": 9, "blocks": []}', "uri")


@given(st.text() | st.binary())
def test_any_other_text_is_bad_data_with_its_place(text: str | bytes) -> None:
    with pytest.raises(BadData, match=r"s3://x/blocks\.json"):
        parse_index(text, "s3://x/blocks.json")
