import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_workloads.data.sources.pieces import (
    Piece,
    compression_of,
    cut_file,
    format_of,
    share_out,
)

MB = 1 << 20


def piece(size: int, path: str = "a.jsonl", **changes: object) -> Piece:
    found = format_of(path)
    assert found is not None
    return Piece(0, path, found, compression_of(path), size, "v1", **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "want"),
    [
        ("a.jsonl", ("jsonl", "")),
        ("a.JSONL.gz", ("jsonl", "gz")),
        ("a.ndjson.zst", ("jsonl", "zst")),
        ("b/a.txt.gz", ("txt", "gz")),
        ("a.parquet", ("parquet", "")),
        ("README", (None, "")),
        ("a.csv", (None, "")),
    ],
)
def test_the_name_of_a_file_tells_its_format(path: str, want: tuple[str | None, str]) -> None:
    assert (format_of(path), compression_of(path)) == want


def test_a_large_plain_file_is_cut_without_gaps() -> None:
    parts = cut_file(piece(10 * MB), 3 * MB)
    assert [part.start for part in parts[1:]] == [part.end for part in parts[:-1]]
    assert (parts[0].start, parts[-1].end, len(parts)) == (0, 10 * MB, 3)


@pytest.mark.parametrize("path", ["a.jsonl.gz", "a.txt", "a.parquet"])
def test_other_files_stay_whole(path: str) -> None:
    assert cut_file(piece(10 * MB, path), MB) == [piece(10 * MB, path)]


def test_a_small_file_is_not_cut_into_crumbs() -> None:
    assert len(cut_file(piece(MB), 1.0)) == 1


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=50), st.integers(1, 20))
def test_tasks_share_all_pieces_in_order(sizes: list[int], tasks: int) -> None:
    pieces = [piece(size, f"{index}.jsonl") for index, size in enumerate(sizes)]
    shares = share_out(pieces, tasks)
    assert len(shares) == tasks
    assert [one for share in shares for one in share] == pieces
    largest = max(sum(one.cost for one in share) for share in shares)
    assert largest <= sum(sizes) / tasks + 2 * max(sizes)


def test_compressed_files_count_for_the_text_in_them() -> None:
    assert piece(100, "a.jsonl.gz").cost > piece(100).cost
