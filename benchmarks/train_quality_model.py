"""Train `default_quality.npz`, the quality model that comes with the software.

    python benchmarks/train_quality_model.py CORPUS
        [--hold-out-source NAME …] [--hold-out-damage NAME …]

Good are documents of the corpus that `make corpus` builds; bad is the same text, damaged: so the
model cannot tell them by their subject. Text in disorder is not among the damages: a model that
learns word order from so few texts takes every new subject for disorder. All forms of a document
are on one side of the split. What is held out is scored and not trained on, and then nothing is
written.
"""

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import xxhash
from rules import JUNK

from pretrain_workloads.data.models.classifier import Classifier, train_classifier
from pretrain_workloads.data.models.samples import SamplesOf
from pretrain_workloads.data.models.scoring import DEFAULT_CHARACTERS, DEFAULT_MODEL
from pretrain_workloads.data.text.units import code_points

PER_SOURCE = 2000
PIECES = (250, 500, 1000)
"""Characters of a part of a document."""

LONGEST = 6000
"""Characters of a document that are used."""

BOILERPLATE = {
    "en": "Sign in|Share on Facebook|Read more|Add to cart|0 comments|Related posts|Terms of use|"
    "Subscribe now|Privacy policy|Click here|Posted by admin|Free shipping|Next page|Log out",
    "zh": "登录|注册|分享到微博|点击查看更多|加入购物车|相关推荐|版权声明|立即购买|联系客服|上一篇|"
    "下一篇|扫码关注|返回首页|免责声明|阅读全文",
}

type Units = list[str]
type Damage = Callable[[random.Random, Units, str], str]
"""Takes the words (or characters) of a text, and its language."""


def _glue(language: str) -> str:
    return "" if language == "zh" else " "


def keywords(rng: random.Random, units: Units, language: str) -> str:
    """Return a list of words, some of them again and again."""
    size = 1 if language != "zh" else 2
    words = [_glue(language).join(units[i : i + size]) for i in range(0, len(units), size)]
    few = rng.sample(words, min(len(words), 12))
    return rng.choice([" ", ", ", " | ", "、"]).join(rng.choices(few + words, k=len(words)))


def menu(rng: random.Random, units: Units, language: str) -> str:
    """Return short pieces of the text, each on a line of its own."""
    lines, start = [], 0
    while start < len(units):
        size = rng.randint(1, 4) * (2 if language == "zh" else 1)
        lines.append(_glue(language).join(units[start : start + size]))
        start += size * rng.randint(1, 3)
    return "\n".join(rng.choice(["", "> ", "- ", "» "]) + line for line in lines)


def cut_lines(rng: random.Random, units: Units, language: str) -> str:
    """Return starts of sentences, cut off."""
    size = 14 if language == "zh" else 8
    starts = range(0, len(units), size * 2)
    dots = rng.choice(["...", "…", " [more]"])
    return "\n".join(_glue(language).join(units[i : i + size]) + dots for i in starts)


def boilerplate(rng: random.Random, units: Units, language: str) -> str:
    """Return a little text between the buttons of a web page."""
    buttons, out, start = BOILERPLATE[language].split("|"), [], 0
    while start < len(units):
        out.append(_glue(language).join(units[start : start + 12]))
        out += rng.sample(buttons, rng.randint(2, 5))
        start += 60
    return "\n".join(out)


def repeated(rng: random.Random, units: Units, language: str) -> str:
    """Return a piece of the text many times."""
    piece = _glue(language).join(units[: rng.randint(6, 25)])
    return rng.choice([" ", "\n", "。"]).join([piece] * rng.randint(8, 30))


def mojibake(rng: random.Random, units: Units, language: str) -> str:
    """Return the text in a wrong encoding."""
    text = _glue(language).join(units)
    text = text if language == "zh" else text.replace("e", "é").replace("'", "’")
    return text.encode().decode("latin-1" if rng.random() < 0.5 else "gb18030", errors="replace")


DAMAGE: dict[str, Damage] = {
    made.__name__: made for made in (keywords, menu, cut_lines, boilerplate, repeated, mojibake)
}

type Document = tuple[str, str, str]
"""(source, language, text)."""


def read(corpus: Path) -> list[Document]:
    """Return the documents of the corpus, some of each source."""
    sources: dict[tuple[str, str], list[str]] = defaultdict(list)
    for language in ("zh", "en"):
        with (corpus / f"{language}.jsonl").open(encoding="utf-8") as stream:
            for line in stream:
                record = json.loads(line)
                if len(record["text"]) >= DEFAULT_CHARACTERS:
                    sources[record["source"], language].append(record["text"][:LONGEST])
    rng = random.Random(0)
    return [
        (source, language, text)
        for (source, language), texts in sorted(sources.items())
        for text in rng.sample(texts, min(PER_SOURCE, len(texts)))
    ]


def piece(rng: random.Random, text: str) -> str:
    """Return a text, or a part of it that starts and ends with a word: short ones are harder."""
    size = rng.choice((*PIECES, LONGEST))
    if size >= len(text):
        return text
    start = rng.randrange(len(text) - size)
    part = text[start : start + size]
    return part.partition(" ")[2].rpartition(" ")[0] if part.count(" ") > 8 else part


def samples(documents: list[Document], damages: dict[str, Damage]) -> SamplesOf:
    """Return each document as it is, and damaged in one way."""
    found: SamplesOf = {"bad": [], "good": []}
    for _, language, text in documents:
        key = xxhash.xxh3_64_intdigest(text.encode())
        rng = random.Random(key)
        text = piece(rng, text)
        units = list(text) if language == "zh" else text.split()
        damaged = damages[rng.choice(sorted(damages))](rng, units, language)
        found["good"].append((key, text))
        found["bad"].append((key, damaged))
    return found


def share_good(model: Classifier, texts: list[str]) -> float:
    """Return the share of texts that the model takes for good."""
    chances = model.probabilities(*code_points(texts))
    return float((chances[:, model.classes.index("good")] > 0.5).mean())


def main() -> None:
    """Train, score what was held out, and write the model if that is nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--hold-out-source", nargs="*", default=[])
    parser.add_argument("--hold-out-damage", nargs="*", default=[])
    arguments = parser.parse_args()
    documents = read(arguments.corpus)
    unseen = [d for d in documents if d[0] in arguments.hold_out_source]
    known = {n: make for n, make in DAMAGE.items() if n not in arguments.hold_out_damage}
    seen = [d for d in documents if d[0] not in arguments.hold_out_source]
    model, measured = train_classifier(samples(seen, known))
    print(f"{measured.samples} samples; unseen tenth: {measured.accuracy}")
    print(f"calibration error {measured.calibration_error}")
    for source in sorted({d[0] for d in unseen}):
        part = [d for d in unseen if d[0] == source]
        bad = [text for _, text in samples(part, known)["bad"]]
        good = share_good(model, [d[2] for d in part])
        print(f"held out {source}: good {good:.3f}, damaged {1 - share_good(model, bad):.3f}")
    for name in arguments.hold_out_damage:
        bad = [text for _, text in samples(seen, {name: DAMAGE[name]})["bad"]]
        print(f"held out {name}: {1 - share_good(model, bad):.3f}")
    for kind, make in JUNK.items():
        rng = random.Random(kind)
        texts = [make(rng) for _ in range(300)]
        print(f"junk never seen, {kind}: {1 - share_good(model, texts):.3f}")
    if not (arguments.hold_out_source or arguments.hold_out_damage):
        DEFAULT_MODEL.write_bytes(model.to_bytes())
        print(f"{DEFAULT_MODEL}: {DEFAULT_MODEL.stat().st_size} bytes")


if __name__ == "__main__":
    main()
