"""What recommended rules drop of good text, and of planted junk.

    make bench-rules CORPUS=FOLDER

Good text are the sources of `make corpus`, 4,000 documents of each at most; junk is made up, by a
generator with a fixed seed, 300 documents of each kind.
"""

import base64
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import batched
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import numpy as np

from batches import make_batch
from pretrain_api.v1alpha1.pipeline.rules import DataRule
from pretrain_workloads.data.batch import Batch
from pretrain_workloads.data.rules.apply import apply_rules
from pretrain_workloads.data.rules.rejects import Rejects
from pretrain_workloads.data.text.languages import detect_all

RULES: list[dict[str, Any]] = [
    {"length": {"minCharacters": 16}},
    {"repetition": {}},
    {"characterRatio": {"of": "symbols", "max": 0.45}},
    {"urls": {"maxPerThousandCharacters": 10}},
    {"characterRatio": {"of": "digits", "max": 0.34}},
    {"lines": {"maxMeanCharacters": 1000}, "languages": ["code"]},
    {"lines": {"maxBulletFraction": 0.95}},
]
"""The rules that docs/data.md recommends to start with."""

PER_SOURCE = 4000
PER_KIND = 300
WORDS = "the of and to in is that for it as was with on be by at this from are or".split()
ENGLISH = "market offer price home news contact about free shipping best quality online".split()
CHINESE = "优惠 价格 首页 新闻 联系我们 关于 免费 正品 品质 在线 客服 订购 批发 厂家 直销".split()


def _spam(rng: random.Random) -> str:
    words = rng.sample(ENGLISH, 4) if rng.random() < 0.5 else rng.sample(CHINESE, 4)
    phrase = " ".join(words)
    return " ".join([phrase] * rng.randint(30, 80))


def _menu(rng: random.Random) -> str:
    words = ENGLISH if rng.random() < 0.5 else CHINESE
    items = rng.sample(words, 10)
    return "\n".join(f"{rng.choice(['|', '»', '•', '-'])} {item}" for item in items * 3)


def _boilerplate(rng: random.Random) -> str:
    lines = [
        "This site uses cookies. By continuing you accept our policy.",
        "All rights reserved. Copyright 2024.",
        "版权所有 未经许可不得转载",
        "Click here to subscribe to our newsletter.",
    ]
    return "\n".join(rng.choice(lines) for _ in range(rng.randint(15, 30)))


def _encoded(rng: random.Random) -> str:
    return base64.b64encode(rng.randbytes(rng.randint(600, 3000))).decode()


def _logs(rng: random.Random) -> str:
    levels = ["INFO", "WARN", "DEBUG"]
    return "\n".join(
        f"2024-01-{rng.randint(10, 28)} 10:{rng.randint(10, 59)}:{rng.randint(10, 59)},"
        f"{rng.randint(100, 999)} {rng.choice(levels)} worker-{rng.randint(1, 9)} request done"
        for _ in range(rng.randint(40, 120))
    )


def _paragraphs(rng: random.Random) -> str:
    paragraph = " ".join(rng.choice(WORDS) for _ in range(60)) + "."
    return "\n\n".join([paragraph] * rng.randint(4, 9))


def _listing(rng: random.Random) -> str:
    place = rng.choice(["London", "北京", "Berlin", "上海"])
    return "\n".join(
        f"Best hotels in {place} number {n}: book now for the lowest price" for n in range(60)
    )


def _mojibake(rng: random.Random) -> str:
    text = "".join(rng.choice("床前明月光疑是地上霜举头望明月低头思故乡") for _ in range(300))
    return text.encode().decode("latin-1")


def _minified(rng: random.Random) -> str:
    return "".join(
        f"function {chr(97 + n % 26)}{n}(e,t){{return e[t]||(e[t]={{}}),e[t].{chr(97 + n % 7)}}}"
        for n in range(rng.randint(60, 200))
    )


JUNK: dict[str, Callable[[random.Random], str]] = {
    "SEO spam": _spam,
    "menus": _menu,
    "boilerplate": _boilerplate,
    "base64": _encoded,
    "logs": _logs,
    "repeated paragraphs": _paragraphs,
    "generated lists": _listing,
    "mojibake": _mojibake,
    "minified code": _minified,
}


def left(batch: Batch) -> tuple[Batch, Rejects]:
    """Return what the rules leave of a batch, and what they dropped."""
    rejects = Rejects(lambda columns: None)
    return apply_rules([DataRule.model_validate(rule) for rule in RULES], batch, rejects), rejects


def detected(texts: list[str]) -> Batch:
    """Return texts as a batch with detected languages."""
    batch = make_batch(texts)
    return batch.with_languages(*detect_all(batch.texts, batch.points, batch.offsets))


def good(corpus: Path) -> None:
    """Print what is dropped of each source."""
    print(f"{'source':26}{'documents':>10}{'dropped':>9}{'bytes':>8}  by")
    seconds, size = 0.0, 0
    for language in ("zh", "en", "code"):
        texts = defaultdict(list)
        with (corpus / f"{language}.jsonl").open(encoding="utf-8") as stream:
            for line in stream:
                record = json.loads(line)
                texts[record["source"]].append(record["text"])
        for source, of_source in sorted(texts.items()):
            random.Random(0).shuffle(of_source)
            read, kept, reasons = np.zeros(2), np.zeros(2), Counter[str]()
            for part in batched(of_source[:PER_SOURCE], 500):
                batch = detected(list(part))
                batch.points.sum()
                started = time.process_time()
                stays, rejects = left(batch)
                seconds += time.process_time() - started
                size += int(batch.sizes.sum())
                read += np.array([len(batch), batch.sizes.sum()], float)
                kept += np.array([len(stays), stays.sizes.sum()], float)
                for rule, count in rejects.counts.items():
                    reasons[rule] += count
            documents, size_share = 1 - kept / read
            by = ", ".join(f"{rule} {count}" for rule, count in sorted(reasons.items()))
            print(f"{source:26}{int(read[0]):10}{documents:9.2%}{size_share:8.2%}  {by}")
    print(f"all rules together: {size / 1e6 / seconds:.0f} MB per CPU-second")


def junk() -> None:
    """Print how much of each kind of junk is dropped."""
    print(f"\n{'junk':26}{'documents':>10}{'dropped':>9}  by")
    for kind, make in JUNK.items():
        rng = random.Random(kind)
        batch = detected([make(rng) for _ in range(PER_KIND)])
        stays, rejects = left(batch)
        by = ", ".join(f"{rule} {count}" for rule, count in sorted(rejects.counts.items()))
        print(f"{kind:26}{len(batch):10}{1 - len(stays) / len(batch):9.1%}  {by}")


if __name__ == "__main__":
    good(Path(sys.argv[1]))
    junk()
