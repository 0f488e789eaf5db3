from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_workloads.data.sources.pieces import (
    Piece,
    cut_bytes,
    read_share,
    share_out,
    write_shares,
)
from pretrain_workloads.storage import Folder, open_uri

MB = 1 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return open_uri(f"file://{tmp_path}")


def jsonl(size: int, compression: str = "", path: str = "a.jsonl") -> Piece:
    return Piece(0, path, "jsonl", compression, size, "v1")


def test_a_large_plain_file_is_cut_without_gaps(folder: Folder) -> None:
    parts = cut_bytes(folder, jsonl(10 * MB), 3 * MB)
    assert [part.start for part in parts[1:]] == [part.end for part in parts[:-1]]
    assert (parts[0].start, parts[-1].end, len(parts)) == (0, 10 * MB, 3)


def test_a_small_file_is_not_cut_into_crumbs(folder: Folder) -> None:
    assert len(cut_bytes(folder, jsonl(MB), 1.0)) == 1


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=50), st.integers(1, 20))
def test_tasks_share_all_pieces_in_order(sizes: list[int], tasks: int) -> None:
    pieces = [jsonl(size, path=f"{index}.jsonl") for index, size in enumerate(sizes)]
    shares = share_out(pieces, tasks)
    assert len(shares) == tasks
    assert [one for share in shares for one in share] == pieces
    largest = max(sum(one.cost for one in share) for share in shares)
    assert largest <= sum(sizes) / tasks + 2 * max(sizes)


def test_compressed_files_count_for_the_text_in_them() -> None:
    assert jsonl(100, "gz").cost > jsonl(100).cost


def test_each_task_reads_the_pieces_that_were_written_for_it(folder: Folder) -> None:
    shares = [[jsonl(3)], [], cut_bytes(folder, jsonl(9 * MB), 3 * MB)]
    write_shares(folder, "inputs.json", shares)
    assert [read_share(folder, "inputs.json", rank) for rank in range(3)] == shares
