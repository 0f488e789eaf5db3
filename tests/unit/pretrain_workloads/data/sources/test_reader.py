import gzip
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_workloads.failures import UserError
from source_files import read

LINES = [{"id": "a", "text": "one"}, {"id": 2, "text": "two 二"}, {"text": "three"}]


def jsonl(records: list[Any]) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


@pytest.mark.parametrize("end", ["", ".gz", ".zst"])
def test_jsonl_is_read_compressed_or_not(tmp_path: Path, end: str) -> None:
    content = jsonl(LINES)
    packed = {"": content, ".gz": gzip.compress(content)}.get(end) or (
        zstandard.compress(content[:20]) + zstandard.compress(content[20:])
    )
    (tmp_path / f"a.jsonl{end}").write_bytes(packed)
    documents, _ = read(tmp_path, f"a.jsonl{end}")
    assert [text for _, text in documents] == ["one", "two 二", "three"]
    assert [name for name, _ in documents][:2] == ["a", "2"]


def test_a_document_without_an_id_gets_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(jsonl(LINES))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(jsonl(LINES)))
    offset = len(jsonl(LINES[:2]))
    assert read(tmp_path, "a.jsonl")[0][2][0] == f"s/a.jsonl#byte-{offset}"
    assert read(tmp_path, "b.jsonl.gz")[0][2][0] == "s/b.jsonl.gz#line-3"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 200), max_size=12), st.integers(1, 5))
def test_byte_ranges_read_every_line_once(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], blank: int
) -> None:
    folder = tmp_path_factory.mktemp("ranges")
    content = (b"\n" * blank).join(jsonl([record]) for record in LINES * 2)
    (folder / "a.jsonl").write_bytes(content)
    bounds = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    whole, _ = read(folder, "a.jsonl")
    parts: list[tuple[str, str]] = []
    for start, end in pairwise(bounds):
        parts += read(folder, "a.jsonl", start=start, end=end)[0]
    assert parts == whole


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "x"', "invalid JSON"),
        (b'{"text": "\xff"}', "invalid JSON"),
        (b'{"text": "\\ud800"}', "invalid JSON"),
        (b"[1]", "not a JSON object, but list"),
        (b'{"body": "x"}', "no field text; the fields are body: set textField"),
        (b'{"text": 5}', "text is int, not text"),
        (b'{"text": null}', "text is null, not text"),
        (b'{"text": "  "}', "text is empty"),
    ],
)
def test_a_bad_record_is_kept_with_its_place_and_reason(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    (tmp_path / "a.jsonl").write_bytes(jsonl(LINES[:1]) + line + b"\n" + jsonl(LINES[1:2]))
    documents, bad = read(tmp_path, "a.jsonl")
    assert [text for _, text in documents] == ["one", "two 二"]
    (record,) = bad
    assert record["reason"].startswith(reason)
    assert (record["source"], record["path"]) == ("s", "a.jsonl")
    assert record["position"] == f"byte-{len(jsonl(LINES[:1]))}"


@pytest.mark.parametrize("end", ["gz", "zst"])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_of_a_damaged_file_the_readable_records_stay(tmp_path: Path, end: str, damage: str) -> None:
    noise = [{"text": f"{number * 7919 % 1000003} words"} for number in range(100_000)]
    content = jsonl(noise)
    packed = bytearray(gzip.compress(content) if end == "gz" else zstandard.compress(content))
    if damage == "cut":
        del packed[len(packed) // 2 :]
    else:
        packed[len(packed) // 2] ^= 0xFF
        packed[len(packed) // 2 + 1] ^= 0xFF
    (tmp_path / f"a.jsonl.{end}").write_bytes(packed)
    documents, bad = read(tmp_path, f"a.jsonl.{end}")
    texts = [record["text"] for record in noise]
    readable = 30_000 if damage == "flipped" else len(documents)  # gzip notices at the end only
    assert len(documents) >= readable > 10_000
    assert [text for _, text in documents][:readable] == texts[:readable]
    assert re.match(r"file is damaged: is damaged near byte \d+ of \d+", bad[-1]["reason"])
    assert bad[-1]["path"] == f"a.jsonl.{end}"


def test_parquet_is_read_by_row_groups(tmp_path: Path) -> None:
    table = pa.table({"text": ["one", None, "three"], "id": [1, 2, None]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    documents, bad = read(tmp_path, "a.parquet", start=0, end=1)
    assert documents == [("1", "one")]
    assert bad[0]["position"] == "row-1"
    documents, _ = read(tmp_path, "a.parquet", start=1, end=2, first_row=2)
    assert documents == [("s/a.parquet#row-2", "three")]


def test_a_parquet_file_without_the_column_names_those_it_has(tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": ["one"]}), tmp_path / "a.parquet")
    want = r"no column 'text' or 'content' or 'completion'; set textField.*body"
    with pytest.raises(UserError, match=want):
        read(tmp_path, "a.parquet")


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["one" * 50] * 100}), tmp_path / "a.parquet")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[8:60] = b"\xff" * 52
    (tmp_path / "a.parquet").write_bytes(content)
    documents, bad = read(tmp_path, "a.parquet")
    assert documents == []
    assert bad[0]["reason"].startswith("file is damaged")


def test_a_text_file_is_one_document(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffone\ntwo\n".encode())
    assert read(tmp_path, "a.txt")[0] == [("s/a.txt", "one\ntwo\n")]


def test_a_text_file_in_another_encoding_is_kept_apart(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("床前明月光".encode("gb18030"))
    documents, bad = read(tmp_path, "a.txt")
    assert documents == []
    assert bad[0]["reason"].startswith("not UTF-8")


def test_a_file_that_changed_since_it_was_listed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(jsonl(LINES))
    with pytest.raises(UserError, match=r"a.jsonl: has changed since"):
        read(tmp_path, "a.jsonl", version="old")
