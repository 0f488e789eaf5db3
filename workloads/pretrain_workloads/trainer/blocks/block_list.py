"""The list of a dataset's token blocks (`blocks.json`): where they are, and how many sequences each
holds.
"""

import json
from dataclasses import dataclass
from typing import Any

from pretrain_workloads.failures import BadData
from pretrain_workloads.indexed_blocks import BLOCK_LIST
from pretrain_workloads.storage import Folder


@dataclass(frozen=True)
class BlockEntry:
    """One block in the list."""

    path: str
    """Path of its files below the dataset's folder, without suffix."""
    sequences: int
    """Number of its sequences."""
    bytes: int | None = None
    """Bytes of text that its labels stand for, if that is known: of validation blocks."""
    has_mask: bool = False
    """Whether a mask says which labels count in the loss; all do without."""
    name: str = ""
    """Name of a validation set; empty if it is the only one."""


@dataclass(frozen=True)
class BlockList:
    """The blocks of a dataset."""

    seq_length: int
    vocabulary_size: int
    blocks: list[BlockEntry]
    validation: list[BlockEntry]


def read_block_list(folder: Folder) -> BlockList:
    """Return the list of blocks in a dataset's folder.

    Raises:
        BadData: If it is broken.
        UserError: If it is absent.
    """
    return parse_block_list(folder.read_bytes(BLOCK_LIST), folder.uri_of(BLOCK_LIST))


def parse_block_list(text: str | bytes, uri: str) -> BlockList:
    """Return the list of blocks in `text`, the content of `uri`.

    Raises:
        BadData: If it is not such a list, or has nothing to train on.
    """
    try:
        value = json.loads(text)
        block_list = BlockList(
            seq_length=int(value["sequenceLength"]),
            vocabulary_size=int(value["vocabularySize"]),
            blocks=_entries(value["blocks"]),
            validation=_entries(value.get("validation", [])),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData(
            f"{uri}: is no list of token blocks ({type(error).__name__}: {error}); "
            "delete the artifact and let the TokenDataset make it again"
        ) from error
    if not sum(entry.sequences for entry in block_list.blocks):
        raise BadData(f"{uri}: holds no sequence of {block_list.seq_length} tokens to train on")
    return block_list


def _entries(values: list[dict[str, Any]]) -> list[BlockEntry]:
    return [
        BlockEntry(
            str(value["path"]),
            int(value["sequences"]),
            None if value.get("bytes") is None else int(value["bytes"]),
            bool(value.get("mask", False)),
            str(value.get("name", "")),
        )
        for value in values
    ]
