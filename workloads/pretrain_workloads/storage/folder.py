"""A folder in storage: the same operations on a mounted volume and on S3."""

import hashlib
import io
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from pydantic_core import from_json, to_json

from pretrain_api.artifacts import ArtifactFile
from pretrain_workloads.storage.errors import name_full_storage, translate_errors
from pretrain_workloads.storage.local_paths import scratch_path
from pretrain_workloads.storage.streams import NamedStream

_BUFFER_BYTES = 1 << 20
"""Buffer of a file that is read from S3, beside the blocks that its client fetches."""

PARTIAL = ".partial"
"""Suffix of a file on a volume while it is being written."""


@dataclass(frozen=True)
class StoredFile:
    """A file in storage."""

    path: str
    """Path relative to the folder that was listed."""

    size: int
    """Bytes."""

    version: str
    """Changes when the content does: the ETag on S3, the modification time on a volume."""


@dataclass
class Publication:
    """A file that is being written."""

    local: Path
    """Local file to write."""

    file: ArtifactFile | None = None
    """The published file. Unset until the `with` block has ended without an error."""


class FileStream:
    """A file that goes to storage while it is written."""

    def __init__(self, path: str, file: IO[bytes]) -> None:
        self._path, self._file = path, file
        self._hash = hashlib.sha256()
        self.bytes = 0
        """Bytes written so far."""

    @property
    def file(self) -> ArtifactFile:
        """Return path, size and checksum of what was written."""
        return ArtifactFile(path=self._path, bytes=self.bytes, sha256=self._hash.hexdigest())

    def write(self, content: Any) -> int:
        """Append the bytes of a buffer."""
        view = memoryview(content).cast("B")
        self._file.write(view)
        self._hash.update(view)
        self.bytes += len(view)
        return len(view)

    def tell(self) -> int:
        """Return the number of bytes written so far."""
        return self.bytes

    def flush(self) -> None:
        """Do nothing: the content is durable when it is published."""


class Folder:
    """A folder at a URI. Paths are relative to it; writing creates missing folders."""

    def __init__(self, uri: str, filesystem: Any, base: str, opener: str) -> None:
        self.uri = uri.rstrip("/")
        self.is_local = "file" in filesystem.protocol
        self._filesystem = filesystem
        self._base = base.rstrip("/")
        self._opener = opener

    def child(self, path: str) -> "Folder":
        """Return the folder at `path`."""
        return Folder(self.uri_of(path), self._filesystem, self._at(path), self._opener)

    def uri_of(self, path: str) -> str:
        """Return the URI of `path`, for messages."""
        return f"{self.uri}/{path}" if path else self.uri

    def _at(self, path: str) -> str:
        return f"{self._base}/{path}" if path else self._base

    def exists(self, path: str) -> bool:
        """Return whether there is a file or folder at `path`."""
        with translate_errors(self.uri_of(path), self._opener):
            return bool(self._filesystem.exists(self._at(path)))

    def stat(self, path: str) -> StoredFile:
        """Return the size and version of a file.

        Raises:
            UserError: If there is none.
        """
        with translate_errors(self.uri_of(path), self._opener):
            if self.is_local:
                return _on_volume(path, Path(self._at(path)))
            return _on_s3(path, self._filesystem.info(self._at(path)))

    def find(self, under: str = "") -> list[StoredFile]:
        """Return all files below `under`, at any depth, sorted by path; none if absent."""
        with translate_errors(self.uri_of(under), self._opener):
            if self.is_local:
                files = [_on_volume(path, Path(self._at(path))) for path in self._walk(under)]
            else:
                infos = self._filesystem.find(self._at(under), detail=True)
                start = len(self._base) + 1
                files = [_on_s3(name[start:], info) for name, info in infos.items()]
        return sorted((f for f in files if not _is_partial(f.path)), key=lambda f: f.path)

    def _walk(self, under: str) -> Iterator[str]:
        """Yield the paths of all files of a volume below `under`, following links."""
        top = Path(self._at(under))
        if top.is_file():
            yield under
        for folder, _, names in os.walk(top, followlinks=True):
            inside = Path(folder).relative_to(self._base)
            yield from ((inside / name).as_posix() for name in names)

    def is_readable(self, path: str) -> bool:
        """Return whether this process may read a file; always true on S3, where `open` decides."""
        return not self.is_local or os.access(self._at(path), os.R_OK)

    def open(self, path: str) -> IO[bytes]:
        """Return the file at `path`, open for reading.

        Raises:
            UserError: If there is none, or it may not be read.
        """
        with translate_errors(self.uri_of(path), self._opener):
            if self.is_local:
                return Path(self._at(path)).open("rb")
            # fsspec's files read no line of limited length; Python's own buffer does.
            file = self._filesystem.open(self._at(path), "rb")
            stream = NamedStream(file, self.uri_of(path), self._opener)
            return io.BufferedReader(stream, _BUFFER_BYTES)

    def read_bytes(self, path: str) -> bytes:
        """Return the content of a file.

        Raises:
            UserError: If there is none, or it may not be read.
        """
        with translate_errors(self.uri_of(path), self._opener):
            return bytes(self._filesystem.cat_file(self._at(path)))

    def read_json(self, path: str) -> Any:
        """Return the value in a JSON file."""
        return from_json(self.read_bytes(path))

    def write_bytes(self, path: str, content: bytes) -> ArtifactFile:
        """Write a file, whole or not at all."""
        with self.publish(path) as publication:
            publication.local.write_bytes(content)
        assert publication.file is not None
        return publication.file

    def write_json(self, path: str, value: Any) -> ArtifactFile:
        """Write `value` as JSON, whole or not at all."""
        return self.write_bytes(path, to_json(value, indent=1))

    def check_writable(self) -> None:
        """Write a small file and delete it again.

        Raises:
            UserError: If that is not allowed, or there is no such bucket.
        """
        name = f".{uuid.uuid4().hex[:12]}.probe"
        self.write_bytes(name, b"may be deleted")
        self.delete(name)

    @contextmanager
    def publish(self, path: str) -> Iterator[Publication]:
        """Provide a local file to write, and publish it at `path` when the body succeeds.

        The file appears complete or not at all: a rename on a volume, one upload on S3.

        Raises:
            StorageFull: If the body finds no space for the local file.
        """
        local = self._temporary(path)
        publication = Publication(local)
        place = (
            self.uri_of(path) if self.is_local else f"the pod's scratch, for {self.uri_of(path)}"
        )
        try:
            with name_full_storage(place, local.parent):
                yield publication
            size, checksum = local.stat().st_size, file_checksum(local)
            with translate_errors(self.uri_of(path), self._opener):
                self._move(local, path)
            publication.file = ArtifactFile(path=path, bytes=size, sha256=checksum)
        finally:
            local.unlink(missing_ok=True)

    @contextmanager
    def stream(self, path: str) -> Iterator["FileStream"]:
        """Provide a stream whose content is published at `path` when the body succeeds.

        Unlike with `publish`, the content goes to S3 while it is written, in parts, so that no
        local copy is needed; without success, the parts are dropped.

        Raises:
            StorageFull: If the body finds no space for the file.
        """
        with translate_errors(self.uri_of(path), self._opener):
            if self.is_local:
                with self._volume_stream(path) as file:
                    yield FileStream(path, file)
                return
            upload = self._filesystem.open(self._at(path), "wb", autocommit=False)
            try:
                yield FileStream(path, upload)
                upload.close()
                upload.commit()
            except BaseException:
                upload.discard()
                raise

    @contextmanager
    def _volume_stream(self, path: str) -> Iterator[IO[bytes]]:
        local = self._temporary(path)
        try:
            with name_full_storage(self.uri_of(path), local.parent), local.open("wb") as file:
                yield file
            self._move(local, path)
        finally:
            local.unlink(missing_ok=True)

    def _temporary(self, path: str) -> Path:
        name = f".{PurePosixPath(path).name}.{uuid.uuid4().hex[:12]}{PARTIAL}"
        if not self.is_local:
            return scratch_path() / name
        folder = Path(self._at(path)).parent
        with translate_errors(self.uri_of(path), self._opener):
            folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    def _move(self, local: Path, path: str) -> None:
        if not self.is_local:
            self._filesystem.put_file(str(local), self._at(path))
            return
        with local.open("rb") as stream:
            os.fsync(stream.fileno())
        local.replace(self._at(path))

    @contextmanager
    def fetched(self, path: str) -> Iterator[Path]:
        """Provide a local file with the content of `path`, for reading only.

        On a volume it is the file itself; on S3 a download that is deleted after the body.
        """
        if self.is_local:
            with translate_errors(self.uri_of(path), self._opener):
                os.stat(self._at(path))
            yield Path(self._at(path))
            return
        copy = scratch_path() / f"{uuid.uuid4().hex[:12]}-{PurePosixPath(path).name}"
        try:
            self.download(path, copy)
            yield copy
        finally:
            copy.unlink(missing_ok=True)

    def download(self, path: str, to: Path) -> None:
        """Copy the file, or the files below the folder, at `path` to the local path `to`."""
        files = self.find(path)
        if not files:
            self.stat(path)  # raises UserError: it does not exist
        for file in files:
            inside = file.path[len(path) :].lstrip("/") if path else file.path
            target = to / inside if inside else to
            target.parent.mkdir(parents=True, exist_ok=True)
            with translate_errors(self.uri_of(file.path), self._opener):
                self._filesystem.get_file(self._at(file.path), str(target))

    def upload(self, source: Path, path: str) -> list[ArtifactFile]:
        """Publish the local file, or the files below the local folder, `source` at `path`."""
        if source.is_file():
            return [self._upload_file(source, path)]
        files = sorted(file for file in source.rglob("*") if file.is_file())
        start = f"{path}/" if path else ""
        return [self._upload_file(f, start + f.relative_to(source).as_posix()) for f in files]

    def _upload_file(self, source: Path, path: str) -> ArtifactFile:
        if not self.is_local:  # an upload is atomic by itself: no temporary copy is needed
            with translate_errors(self.uri_of(path), self._opener):
                self._move(source, path)
            size = source.stat().st_size
            return ArtifactFile(path=path, bytes=size, sha256=file_checksum(source))
        with self.publish(path) as publication:
            shutil.copyfile(source, publication.local)
        assert publication.file is not None
        return publication.file

    def delete(self, path: str) -> None:
        """Delete the file or folder at `path`, if it exists."""
        with translate_errors(self.uri_of(path), self._opener):
            if self._filesystem.exists(self._at(path)):
                self._filesystem.rm(self._at(path), recursive=True)

    def delete_partial(self) -> None:
        """Delete the partial files of killed writers. Call it only when nobody is writing."""
        if self.is_local:
            for file in Path(self._base).rglob(f"*{PARTIAL}"):
                file.unlink(missing_ok=True)


def file_checksum(path: Path) -> str:
    """Return the SHA-256 of a local file, in hexadecimal."""
    with path.open("rb") as stream:
        return stream_checksum(stream)


def stream_checksum(stream: IO[bytes]) -> str:
    """Return the SHA-256 of what is left of an open file, in hexadecimal."""
    return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


def _on_s3(path: str, info: dict[str, Any]) -> StoredFile:
    return StoredFile(path, int(info["size"] or 0), str(info.get("ETag", "")).strip('"'))


def _on_volume(path: str, file: Path) -> StoredFile:
    stat = file.stat()  # follows links: ConfigMaps are mounted as links
    return StoredFile(path, stat.st_size, str(stat.st_mtime_ns))


def _is_partial(path: str) -> bool:
    name = PurePosixPath(path).name
    return name.startswith(".") and name.endswith(PARTIAL)
