from pathlib import Path
from typing import get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pretrain_api.v1alpha1.pipeline.sources import Format
from pretrain_workloads.data.sources.compression import compression_of
from pretrain_workloads.data.sources.formats import FORMATS, format_of
from pretrain_workloads.data.sources.pieces import Piece
from pretrain_workloads.failures import BadData
from pretrain_workloads.storage import open_uri

MB = 1 << 20


def test_every_format_of_the_api_is_registered() -> None:
    assert {"auto", *FORMATS} == set(get_args(Format))


@pytest.mark.parametrize(
    ("path", "want"),
    [
        ("a.jsonl", ("jsonl", "")),
        ("a.JSONL.gz", ("jsonl", "gz")),
        ("a.ndjson.zst", ("jsonl", "zst")),
        ("b/a.txt.gz", ("txt", "gz")),
        ("a.parquet", ("parquet", "")),
        ("README", (None, "")),
        ("a.csv", ("csv", "")),
    ],
)
def test_the_name_of_a_file_tells_its_format(path: str, want: tuple[str | None, str]) -> None:
    assert (format_of(path), compression_of(path)) == want


def cut(folder: Path, path: str, size: int = 10 * MB) -> list[Piece]:
    """Return the pieces that a file of a known name is cut into."""
    name = format_of(path)
    assert name is not None
    piece = Piece(0, path, name, compression_of(path), size, "v1")
    return FORMATS[name].cut(open_uri(f"file://{folder}"), piece, MB)


@pytest.mark.parametrize(("path", "want"), [("a.jsonl", 10), ("a.jsonl.gz", 1), ("a.txt", 1)])
def test_only_plain_jsonl_is_cut_into_byte_ranges(tmp_path: Path, path: str, want: int) -> None:
    pieces = cut(tmp_path, path)
    assert len(pieces) == want
    if want == 1:
        assert (pieces[0].start, pieces[0].end, pieces[0].part_bytes) == (0, None, None)


def test_parquet_is_cut_into_row_groups(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": list("abcde")}), tmp_path / "a.parquet", row_group_size=2)
    pieces = cut(tmp_path, "a.parquet", size=500)
    assert [(p.start, p.end, p.first_row) for p in pieces] == [(0, 1, 0), (1, 2, 2), (2, 3, 4)]
    assert [piece.part_bytes for piece in pieces] == [200, 200, 100]


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"text")
    with pytest.raises(BadData, match=r"a.parquet: is no parquet file"):
        cut(tmp_path, "a.parquet")
