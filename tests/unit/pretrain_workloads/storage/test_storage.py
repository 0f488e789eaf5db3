import gzip
import os
from pathlib import Path

import pytest

from pretrain_api.artifacts import ArtifactFile
from pretrain_api.meta import Location
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import (
    list_matching,
    local_path,
    open_location,
    open_uri,
    read_manifest,
    seal_manifest,
)
from pretrain_workloads.storage.errors import StorageFull
from pretrain_workloads.storage.globs import glob_pattern, split_glob
from pretrain_workloads.storage.secrets import read_credentials, shown_endpoint


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test its own `/pretrain`."""
    monkeypatch.setenv("PRETRAIN_ROOT", str(tmp_path))
    return tmp_path


def write_secret(root: Path, name: str, **keys: str) -> None:
    folder = root / "secrets" / name
    folder.mkdir(parents=True)
    for key, value in keys.items():
        (folder / key).write_text(value, encoding="utf-8")


def test_paths_below_pretrain_move_with_the_root(root: Path) -> None:
    assert local_path("/pretrain/data/x") == root / "data/x"
    assert local_path("/pretrainer/x") == Path("/pretrainer/x")


def test_paths_stay_where_they_are_without_a_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRETRAIN_ROOT")
    assert local_path("/pretrain/data/x") == Path("/pretrain/data/x")


def test_what_is_written_can_be_read_and_found(root: Path) -> None:
    folder = open_uri("file:///pretrain/data")
    file = folder.write_bytes("a/b.bin", b"hello")
    checksum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert file == ArtifactFile(path="a/b.bin", bytes=5, sha256=checksum)
    assert folder.read_bytes("a/b.bin") == (root / "data/a/b.bin").read_bytes() == b"hello"
    assert [file.path for file in folder.find()] == ["a/b.bin"]
    assert folder.child("a").exists("b.bin")
    assert not folder.exists("c")
    folder.delete("a")
    assert folder.find() == []


def test_a_writer_that_fails_leaves_nothing(root: Path) -> None:
    folder = open_uri("file:///pretrain/data")

    def fail() -> None:
        with folder.publish("x") as publication:
            publication.local.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list((root / "data").iterdir()) == []


def test_what_killed_writers_left_is_not_found_and_can_be_deleted(root: Path) -> None:
    folder = open_uri("file:///pretrain/data")
    folder.write_bytes("x", b"1")
    (root / "data" / ".y.0123.partial").write_bytes(b"half")
    assert [file.path for file in folder.find()] == ["x"]
    folder.delete_partial()
    assert [path.name for path in (root / "data").iterdir()] == ["x"]


def test_folders_are_uploaded_and_downloaded_whole(root: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "a").write_bytes(b"1")
    (source / "b").write_bytes(b"22")
    folder = open_uri("file:///pretrain/data")
    assert [file.path for file in folder.upload(source, "all")] == ["all/b", "all/deep/a"]
    folder.download("all", tmp_path / "back")
    assert (tmp_path / "back" / "deep" / "a").read_bytes() == b"1"
    folder.download("all/b", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"22"


def test_reading_what_is_absent_names_the_uri() -> None:
    folder = open_uri("file:///pretrain/data")
    with pytest.raises(UserError, match=r"^file:///pretrain/data/none: does not exist$"):
        folder.read_bytes("none")


@pytest.mark.parametrize("uri", ["gs://bucket/x", "/pretrain/data", "file://host/x", "s3://"])
def test_other_uris_are_refused_with_the_forms_that_work(uri: str) -> None:
    with pytest.raises(UserError, match=r"write s3://bucket/path or file:///pretrain/path"):
        open_uri(uri)


def test_a_missing_secret_is_named_with_the_keys_it_needs() -> None:
    location = Location.model_validate(
        {"uri": "s3://bucket/x", "credentialsSecretRef": {"name": "store"}}
    )
    with pytest.raises(UserError, match=r"Secret store: is not mounted.*accessKey"):
        open_location(location)


def test_missing_keys_of_a_secret_are_named(root: Path) -> None:
    write_secret(root, "store", endpoint="http://127.0.0.1:1", accessKey="a", token="b")
    with pytest.raises(UserError, match=r"Secret store: the keys secretKey are missing.*token"):
        read_credentials("store")


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "http://", "ftp://x", "http://h:port"])
def test_a_bad_endpoint_is_refused(root: Path, endpoint: str) -> None:
    write_secret(root, "store", endpoint=endpoint, accessKey="a", secretKey="b")
    with pytest.raises(UserError, match=r"Secret store: endpoint .* is not a URL"):
        read_credentials("store")


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://me:hidden@s3.example.com:9000",
        "https://hidden@s3.example.com",
        "https://me:hid/hidden@s3.example.com",
        "https://hidden/den@s3.example.com",
        "me:hidden@s3.example.com",
        "https://me:hidden@[s3",
    ],
)
def test_an_endpoint_with_a_password_is_refused_and_never_shown(root: Path, endpoint: str) -> None:
    write_secret(root, "store", endpoint=endpoint, accessKey="a", secretKey="b")
    with pytest.raises(UserError, match=r"Secret store: endpoint .* before an @") as raised:
        read_credentials("store")
    assert "hid" not in str(raised.value)


def test_messages_show_scheme_and_host_of_an_endpoint() -> None:
    endpoint = "https://s3.example.com:9000/prefix?token=hidden"
    assert shown_endpoint(endpoint) == "https://s3.example.com:9000"


def test_credentials_never_show_their_keys(root: Path) -> None:
    write_secret(root, "store", endpoint="http://h", accessKey="open-me", secretKey="hidden")
    shown = repr(read_credentials("store"))
    assert "store" in shown
    assert "open-me" not in shown
    assert "hidden" not in shown


def test_globs_are_divided_before_their_first_star() -> None:
    assert split_glob("s3://b/raw/*/x-?.jsonl") == ("s3://b/raw", "*/x-?.jsonl")
    assert split_glob("s3://b/raw/x.jsonl") == ("s3://b/raw/x.jsonl", "")


@pytest.mark.parametrize(
    ("glob", "path", "want"),
    [
        ("*.txt", "a.txt", True),
        ("*.txt", "a/b.txt", False),
        ("**/*.txt", "b.txt", True),
        ("**/*.txt", "a/c/b.txt", True),
        ("a/**", "a/b/c", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a[1].txt", "a[1].txt", True),
    ],
)
def test_stars_stay_in_a_folder_unless_there_are_two(glob: str, path: str, want: bool) -> None:
    assert bool(glob_pattern(glob).fullmatch(path)) is want


@pytest.mark.parametrize(
    ("uri", "want"),
    [
        ("file:///pretrain/raw/*.gz", ["a.gz"]),
        ("file:///pretrain/raw/**/*.gz", ["a.gz", "deep/b.gz"]),
        ("file:///pretrain/raw/deep", ["deep/b.gz", "deep/c.txt"]),
        ("file:///pretrain/raw/a.gz", ["a.gz"]),
    ],
)
def test_a_location_means_files(root: Path, uri: str, want: list[str]) -> None:
    for name in ("a.gz", "deep/b.gz", "deep/c.txt", "a.gzip"):
        path = root / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(b"x"))
    _, files = list_matching(Location(uri=uri))
    assert [file.path for file in files] == want


def test_a_location_without_files_is_refused() -> None:
    with pytest.raises(UserError, match=r"^file:///pretrain/raw/\*.gz: no file matches"):
        list_matching(Location(uri="file:///pretrain/raw/*.gz"))


def test_the_version_of_a_file_changes_with_its_content(root: Path) -> None:
    folder = open_uri("file:///pretrain/data")
    folder.write_bytes("x", b"1")
    before = folder.stat("x")
    folder.write_bytes("x", b"2")
    os.utime(root / "data" / "x", (1, 1))
    assert folder.stat("x").version != before.version


def test_links_are_the_files_that_they_point_at(root: Path) -> None:
    (root / "real").mkdir()
    (root / "real" / "a.txt").write_bytes(b"content")
    (root / "data").mkdir()
    (root / "data" / "b.txt").symlink_to(root / "real" / "a.txt")
    (root / "data" / "deep").symlink_to(root / "real")
    folder = open_uri("file:///pretrain/data")
    files = folder.find()
    assert [file.path for file in files] == ["b.txt", "deep/a.txt"]
    assert {file.size for file in files} == {7}
    assert [folder.stat(file.path) for file in files] == files


def test_an_artifact_is_there_only_with_its_manifest() -> None:
    folder = open_uri("file:///pretrain/data")
    folder.write_bytes("documents/0", b"x")
    assert read_manifest(folder) is None
    seal_manifest(folder, ("numpy",), kind="DataPipeline", name="n", digest="d", spec={})
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.digest == "d"
    assert set(manifest.versions) == {"pretrain-operator", "numpy"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_named_and_nothing_is_published(tmp_path: Path) -> None:
    folder = open_uri(f"file://{tmp_path}/out")
    want = r"file:///.*/out/models/a.npz: no space is left \([\d,]+ bytes free\)"
    with pytest.raises(StorageFull, match=want):
        with folder.publish("models/a.npz"), open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_other_errors_of_a_writer_stay_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        with open_uri(f"file://{tmp_path}").publish("a"):
            tmp_path.open("wb")
