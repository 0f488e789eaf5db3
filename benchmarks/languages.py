"""Score the detection of languages on texts whose language is known.

    python benchmarks/languages.py zh.jsonl en.jsonl code.jsonl

The files hold one `{"text", "source", "lang"}` object a line. Texts in Chinese sources in which
fewer than 15 % of the letters are Han are left out: they are pages that were never translated.
"""

import json
import sys
import time
from collections import Counter, defaultdict
from itertools import batched
from pathlib import Path

from pretrain_workloads.data.text.languages import HAN, LETTERS, detect_all, script_counts
from pretrain_workloads.data.text.units import code_points

UNTRANSLATED = 0.15
BATCH = 1000


def main() -> None:
    """Print for each source how many texts are detected as the language they are in."""
    sources: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    languages: dict[str, Counter[str]] = defaultdict(Counter)
    read, seconds = 0, 0.0
    for name in sys.argv[1:]:
        with Path(name).open(encoding="utf-8") as stream:
            for lines in batched(stream, BATCH):
                records = [json.loads(line) for line in lines]
                texts = [record["text"] for record in records]
                points, offsets = code_points(texts)
                started = time.process_time()
                found, _ = detect_all(texts, points, offsets)
                seconds += time.process_time() - started
                read += sum(len(text.encode()) for text in texts)
                counts = script_counts(points, offsets)
                for record, language, row in zip(records, found, counts, strict=True):
                    if record["lang"] != "zh" or row[HAN] >= UNTRANSLATED * row[LETTERS]:
                        sources[record["lang"], record["source"]][language] += 1
                        languages[record["lang"]][language] += 1
    print(f"{read / 1e6 / seconds:.0f} MB per CPU-second, compilation included")
    for (language, source), row in sorted(sources.items()):
        print(f"{language:6}{source:26}{_score(language, row)}")
    for language, row in sorted(languages.items()):
        print(f"{language:6}{'all':26}{_score(language, row)}")


def _score(language: str, found: Counter[str]) -> str:
    wrong = [f"{name} {count}" for name, count in found.most_common(5) if name != language]
    return f"{found.total():8} {found[language] / found.total():8.2%}  {', '.join(wrong)}"


if __name__ == "__main__":
    main()
