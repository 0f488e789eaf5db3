"""Inputs that broke other tools: each stands for a kind."""

import bz2
import gzip
import io
import json
import lzma
import resource
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pretrain_api.meta import Location
from pretrain_workloads.data.sources.parquet import cut_row_groups
from pretrain_workloads.data.sources.pieces import Piece
from pretrain_workloads.failures import BadData, UserError
from pretrain_workloads.storage import list_matching, open_uri
from source_files import read, read_all

GOOD = b'{"id": "a", "text": "one"}\n{"id": "b", "text": "two"}\n'


def texts(folder: Path, name: str, content: bytes, **changes: Any) -> list[str]:
    (folder / name).write_bytes(content)
    return [text for _, text in read(folder, name, **changes)[0]]


def test_a_byte_order_mark_loses_no_record(tmp_path: Path) -> None:
    assert texts(tmp_path, "a.jsonl", b"\xef\xbb\xbf" + GOOD) == ["one", "two"]
    assert texts(tmp_path, "a.jsonl.gz", gzip.compress(b"\xef\xbb\xbf" + GOOD)) == ["one", "two"]
    assert texts(tmp_path, "a.csv", b"\xef\xbb\xbftext,id\none,1\n") == ["one"]


def test_numbers_that_json_does_not_have_lose_no_record(tmp_path: Path) -> None:
    line = b'{"text": "one", "score": NaN, "most": -Infinity}\n'
    assert texts(tmp_path, "a.jsonl", line) == ["one"]


@pytest.mark.parametrize(
    ("end", "pack"),
    [
        ("gz", gzip.compress),
        ("bz2", bz2.compress),
        ("xz", lzma.compress),
        ("zst", zstandard.compress),
    ],
)
def test_every_compression_is_read_in_several_members(tmp_path: Path, end: str, pack: Any) -> None:
    members = pack(GOOD[:30]) + pack(GOOD[30:])
    assert texts(tmp_path, f"a.jsonl.{end}", members) == ["one", "two"]


@pytest.mark.parametrize(
    "pack", [gzip.compress, lambda content: bz2.compress(content, 1), lzma.compress]
)
def test_of_a_truncated_file_the_readable_records_stay(tmp_path: Path, pack: Any) -> None:
    end = {gzip.compress: "gz", lzma.compress: "xz"}.get(pack, "bz2")
    lines = b"".join(b'{"text": "line %d %d"}\n' % (n, n * n * 7919) for n in range(60_000))
    packed = pack(lines)
    (tmp_path / f"a.jsonl.{end}").write_bytes(packed[: len(packed) * 2 // 3])
    documents, bad = read(tmp_path, f"a.jsonl.{end}")
    assert len(documents) > 20_000
    assert bad[-1]["reason"].startswith("file is damaged")


def test_garbage_after_a_gzip_member_loses_nothing_before_it(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(GOOD) + b"garbage")
    documents, bad = read(tmp_path, "a.jsonl.gz")
    assert [text for _, text in documents] == ["one", "two"]
    assert bad[0]["reason"].startswith("file is damaged")


def test_zstd_files_with_long_windows_are_read(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    stream = io.BytesIO()
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    with compressor.stream_writer(stream, closefd=False) as writer:
        writer.write(GOOD)
    assert texts(tmp_path, "a.jsonl.zst", stream.getvalue()) == ["one", "two"]


@pytest.mark.parametrize("encoding", ["gb18030", "big5", "utf-16", "shift_jis", "euc-kr"])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
def test_other_encodings_are_read_when_the_source_says_so(
    tmp_path: Path, encoding: str, name: str
) -> None:
    japanese, chinese = "これは日本語の文章です。" * 9, "床前明月光，疑是地上霜。" * 9
    text = japanese if encoding == "shift_jis" else chinese
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    _, bad = read(tmp_path, "a.txt")
    assert f"set encoding of the source to {encoding}" in bad[0]["reason"]


def test_a_row_of_bad_utf8_is_one_bad_record(tmp_path: Path) -> None:
    values = pa.array([b"one", b"\xff\xfe", b"three"], pa.binary())
    column = pa.Array.from_buffers(pa.string(), 3, values.buffers())
    pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet")
    documents, bad = read(tmp_path, "a.parquet")
    assert [text for _, text in documents] == ["one", "three"]
    assert (bad[0]["position"], bad[0]["reason"]) == ("row-1", "text is not UTF-8")
    assert texts(tmp_path, "a.csv", b"text\none\n\xff\xfe\nthree\n") == ["one", "three"]


def test_text_in_a_binary_column_is_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([b"one"], pa.binary())}), tmp_path / "a.parquet")
    assert [text for _, text in read(tmp_path, "a.parquet")[0]] == ["one"]


def test_a_parquet_file_with_a_damaged_footer_is_bad_data_with_its_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["one"] * 100}), tmp_path / "a.parquet")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[-60:-10] = b"\xff" * 50
    (tmp_path / "a.parquet").write_bytes(content)
    piece = Piece(0, "a.parquet", "parquet", "", len(content), "")
    with pytest.raises(BadData, match=r"a.parquet: is no parquet file"):
        cut_row_groups(open_uri(f"file://{tmp_path}"), piece, 1.0)


def test_hidden_names_are_skipped_unless_they_are_asked_for(tmp_path: Path) -> None:
    for name in ("a.jsonl", "_SUCCESS", ".hidden.jsonl", "_temporary/b.jsonl", "_kept/c.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(GOOD)

    def names(pattern: str) -> list[str]:
        listed = list_matching(Location(uri=f"file://{tmp_path}/{pattern}"))[1]
        return [Path(file.path).name for file in listed]

    assert names("*.jsonl") == ["a.jsonl"]
    assert names("**/*.jsonl") == ["a.jsonl"]
    assert names("_kept/*") == ["c.jsonl"]
    assert names(".hidden.jsonl") == [".hidden.jsonl"]
    with pytest.raises(UserError, match=r"no file matches \(1 with names that start with . or _\)"):
        names("*SUCCESS")


def test_a_wrong_field_name_fails_early_and_names_the_fields(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"body": "x", "url": "y"}\n' * 200_000)
    with pytest.raises(BadData, match=r"of the first 1,000 records.*the fields are body, url"):
        read(tmp_path, "a.jsonl", max_bad_fraction=0.01)


def test_a_few_bad_records_fail_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"{}\n" * 10 + GOOD * 600)
    assert len(read(tmp_path, "a.jsonl", max_bad_fraction=0.0)[0]) == 1200


def test_records_without_text_are_quarantined_but_fail_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": ""}\n' * 1500 + GOOD * 600)
    documents, bad = read(tmp_path, "a.jsonl", max_bad_fraction=0.01)
    assert (len(documents), len(bad)) == (1200, 1500)


@pytest.mark.parametrize("end", ["", ".gz", ".zst"])
def test_a_line_that_is_too_long_is_never_held_in_memory(tmp_path: Path, end: str) -> None:
    long = b'{"text": "' + b"x" * (300 << 20) + b'"}\n'
    content = GOOD + long + GOOD
    if end:
        content = gzip.compress(content, 1) if end == ".gz" else zstandard.compress(content)
    (tmp_path / f"a.jsonl{end}").write_bytes(content)
    del long, content
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    documents, bad = read(tmp_path, f"a.jsonl{end}", max_record_bytes=1 << 20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes"
    assert [text for _, text in documents] == ["one", "two"] * 2
    assert bad[0]["reason"].startswith("record is too long: more than 1,048,576 bytes")


def test_a_long_text_file_and_a_long_row_are_quarantined(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * 5000)
    pq.write_table(pa.table({"text": ["x" * 5000, "short"]}), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_bytes(b"text\n" + b"x" * 5000 + b"\nshort\n")
    for name, want in (("a.txt", []), ("a.parquet", ["short"]), ("a.csv", ["short"])):
        documents, bad = read(tmp_path, name, max_record_bytes=4096)
        assert [text for _, text in documents] == want
        assert len(bad) == 1


def test_kinds_of_problems_are_bounded_however_many_there_are(tmp_path: Path) -> None:
    lines = b"".join(b'{"field%d": 1}\n' % number for number in range(500))
    (tmp_path / "a.jsonl").write_bytes(lines)
    _, bad = read(tmp_path, "a.jsonl")
    assert len(bad) == 500


def test_a_records_own_language_domain_and_prompt_are_read(tmp_path: Path) -> None:
    records = [
        {"text": "one", "lang": "EN", "topic": "law"},
        {"text": "two", "lang": "not a code", "topic": None},
        {"content": "three"},
        {"prompt": "cafe\u0301?", "completion": " yes"},
    ]
    content = "".join(json.dumps(record) + "\n" for record in records)
    (tmp_path / "a.jsonl").write_text(content)
    fields = {"languageField": "lang", "domainField": "topic", "language": "zh"}
    (batch,), bad = read_all(tmp_path, "a.jsonl", fields)
    assert bad == []
    assert batch.languages == ["en", "zh", "zh", "zh"]
    assert batch.domains == ["law", "unknown", "unknown", "unknown"]
    assert batch.texts == ["one", "two", "three", "caf\u00e9? yes"]
    assert batch.prompts.tolist() == [0, 0, 0, len("caf\u00e9?")]
    assert len(set(batch.origins)) == 4


@pytest.mark.parametrize(("delimiter", "name"), [(",", "a.csv"), ("\t", "a.tsv"), (";", "a.csv")])
def test_csv_fields_may_hold_line_ends_and_delimiters(
    tmp_path: Path, delimiter: str, name: str
) -> None:
    head, row = f"id{delimiter}text\n", f'7{delimiter}"one{delimiter} two\nthree ""x"""\n'
    (tmp_path / name).write_text(head + row + "\n")
    documents, bad = read(tmp_path, name)
    assert documents == [("7", f'one{delimiter} two\nthree "x"')]
    assert bad == []


PAGE = "<html><body><nav>Home | About</nav><main><p>{}</p></main></body></html>"


def test_the_pages_of_a_web_archive_become_documents(tmp_path: Path) -> None:
    first, second = "床前明月光。" * 9, "疑是地上霜。" * 9
    answers = [
        ("http://a/1", 200, "text/html; charset=utf-8", PAGE.format(first).encode()),
        ("http://a/2", 404, "text/html", PAGE.format("gone").encode()),
        ("http://a/3", 200, "image/png", b"\x89PNG"),
        ("http://a/4", 200, "text/html; charset=gb18030", PAGE.format(second).encode("gb18030")),
    ]
    archive = b"".join(archived(*answer) for answer in answers)
    for name, content in (("a.warc", archive), ("b.warc.gz", gzip.compress(archive))):
        (tmp_path / name).write_bytes(content)
        documents, _ = read(tmp_path, name)
        found = [(url, text.strip()) for url, text in documents]
        assert found == [("http://a/1", first), ("http://a/4", second)]


def test_a_file_that_is_no_archive_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.warc.gz").write_bytes(gzip.compress(b"not an archive at all " * 1000))
    documents, bad = read(tmp_path, "a.warc.gz")
    assert documents == []
    assert bad[0]["reason"].startswith("file is damaged: is no WARC file, or damaged")


def test_a_record_may_have_an_empty_prompt_but_no_empty_completion(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"prompt": "", "completion": "one"}\n{"prompt": "two", "completion": ""}\n'
    )
    (batch,), bad = read_all(tmp_path, "a.jsonl", {})
    assert batch.texts == ["one"]
    assert batch.prompts.tolist() == [0]
    assert bad[0]["reason"] == "completion is empty"


def archived(url: str, status: int, kind: str, body: bytes) -> bytes:
    """Return a response record of a WARC file."""
    answer = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n\r\n".encode() + body
    head = (
        "WARC/1.1\r\nWARC-Type: response\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
        f"WARC-Record-ID: <urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, url)}>\r\n"
        f"WARC-Target-URI: {url}\r\nContent-Type: application/http; msgtype=response\r\n"
        f"Content-Length: {len(answer)}\r\n\r\n"
    )
    return head.encode() + answer + b"\r\n\r\n"
