"""The list of blocks: anything but a list with sequences is bad data that names its place."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_workloads.failures import BadData
from pretrain_workloads.trainer.blocks.block_list import BlockEntry, parse_block_list


def test_a_list_of_blocks_is_read() -> None:
    text = json.dumps(
        {
            "sequenceLength": 256,
            "vocabularySize": 8192,
            "blocks": [{"path": "blocks/00000", "sequences": 5, "tokens": 1280}],
            "validation": [{"path": "validation/00000", "sequences": 2, "tokens": 512}],
        }
    )
    index = parse_block_list(text, "uri")
    assert index.blocks == [BlockEntry("blocks/00000", 5)]
    assert index.validation == [BlockEntry("validation/00000", 2)]


def test_a_dataset_without_sequences_is_bad_data() -> None:
    with pytest.raises(BadData, match="holds no sequence of 256 tokens"):
        parse_block_list('{"sequenceLength": 256, "vocabularySize": 9, "blocks": []}', "uri")


@given(st.text() | st.binary())
def test_any_other_text_is_bad_data_with_its_place(text: str | bytes) -> None:
    with pytest.raises(BadData, match=r"s3://x/blocks\.json"):
        parse_block_list(text, "s3://x/blocks.json")
