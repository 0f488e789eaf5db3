"""Small real text, and the specs that turn it into documents, a tokenizer and token blocks."""

import gzip
import json
import pydoc
from pathlib import Path
from typing import Any

POEMS = Path(__file__).parent / "data" / "poems.jsonl"
"""Public-domain Chinese poems; `NOTICE` beside the file names the source."""


def poems() -> list[dict[str, Any]]:
    """Return the committed poems."""
    return [json.loads(line) for line in POEMS.read_text(encoding="utf-8").splitlines()]


def english(count: int) -> list[dict[str, Any]]:
    """Return chapters of Python's language reference, from the interpreter's own help."""
    from pydoc_data.topics import topics

    chosen = sorted(topics.items(), key=lambda item: (len(item[1]), item[0]))[-count:]
    return [{"id": f"topic/{name}", "text": text} for name, text in chosen]


def code(count: int) -> list[dict[str, Any]]:
    """Return modules of the standard library."""
    folder = Path(pydoc.__file__).parent
    files = sorted(p for p in folder.glob("*.py") if 2_000 < p.stat().st_size < 60_000)[:count]
    return [{"id": f"stdlib/{p.name}", "text": p.read_text(encoding="utf-8")} for p in files]


def write_jsonl(path: Path, records: list[dict[str, Any]]) -> None:
    """Write records as JSON lines, compressed if the name ends in `.gz`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    content = lines.encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def write_corpus(folder: Path) -> None:
    """Write a corpus of three languages, with duplicates and bad records."""
    verses = poems()
    near = [r | {"id": r["id"] + "/copy", "text": r["text"] + "\n"} for r in verses[:3]]
    write_jsonl(folder / "zh" / "poems.jsonl.gz", verses)
    write_jsonl(folder / "zh" / "more.jsonl", [*verses[5:9], *near])
    topics = english(24)
    write_jsonl(folder / "en" / "a.jsonl", topics[:12])
    edited = {"id": "topic/edited", "text": topics[0]["text"].replace("the", "a", 3)}
    write_jsonl(folder / "en" / "b.jsonl.gz", [*topics[12:], edited])
    with (folder / "en" / "a.jsonl").open("ab") as stream:
        stream.write(b'{"text": "cut of\n{"id": 7}\n[1, 2]\n{"text": null}\n')
    write_jsonl(folder / "code" / "stdlib.jsonl", code(40))


def pipeline_spec(source: str, output: str, **changes: Any) -> dict[str, Any]:
    """Return the spec of a DataPipeline over `write_corpus`."""
    secret: dict[str, Any] = changes.pop("secret", {})
    sources = [
        {"name": "poems", "uri": f"{source}/zh/*", "language": "zh", "domain": "poetry"},
        {"name": "manual", "uri": f"{source}/en/*", "domain": "prose"},
        {"name": "stdlib", "uri": f"{source}/code/*.jsonl", "language": "code", "domain": "python"},
    ]
    spec = {
        "sources": [one | secret for one in sources],
        "output": {"uri": output} | secret,
        "rules": [
            {"length": {"minCharacters": 16}},
            {"languageId": {"keep": ["zh", "en", "code"]}},
            {"repetition": {}},
        ],
        "deduplication": {"exact": True, "near": {"similarity": 0.8}},
        "tasks": 3,
    }
    return spec | changes


def tokenizer_spec(output: str, **changes: Any) -> dict[str, Any]:
    """Return the spec of a small Tokenizer."""
    secret: dict[str, Any] = changes.pop("secret", {})
    return {
        "corpus": {"pipelineRef": {"name": "documents"}, "sampleBytes": "1M"},
        "vocabularySize": 1024,
        "output": {"uri": output} | secret,
    } | changes


def dataset_spec(output: str, **changes: Any) -> dict[str, Any]:
    """Return the spec of a small TokenDataset of three parts."""
    secret: dict[str, Any] = changes.pop("secret", {})
    part = {"pipelineRef": {"name": "documents"}}
    return {
        "tokenizerRef": {"name": "tokenizer"},
        "mixture": [
            part | {"where": {"language": "zh"}, "weight": 1},
            part | {"where": {"language": "en"}, "weight": 2},
            part | {"where": {"source": "stdlib"}, "weight": 1},
        ],
        "tokens": 60_000,
        "blockTokens": 16_000,
        "sequenceLength": 128,
        "validation": {"fraction": 0.05},
        "tasks": 2,
        "output": {"uri": output} | secret,
    } | changes
