"""Train `code_model.npy`, which tells source code from prose, and score it on what it did not see.

    python benchmarks/train_code_model.py en.jsonl code.jsonl --code FOLDER … [--hold-out SOURCE …]

The files hold one `{"text", "source", "lang"}` object a line, `lang` being `code` or not; a folder
is a source of its own, of files of code. Four fifths of the documents of each
source train, and pieces of them, because short texts are harder; the rest is scored. With
`--hold-out`, whole sources are kept from training, and nothing is written.
"""

import argparse
import json
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pretrain_workloads.data.text import code_model
from pretrain_workloads.data.text.code_model import LINE_SLOTS, NGRAM_SLOTS, SCALE
from pretrain_workloads.data.text.units import code_points

EXTENSIONS = set(
    ".c .cc .cpp .cuh .css .go .h .hpp .java .js .php .pl .pm .py .rs .sh .sql .ts".split()
)
PER_SOURCE = 900
"""Documents of a source that train: no source outweighs the others."""
PIECES = (80, 150, 300, 600, 1500)
STEPS = 300

type Matrix = npt.NDArray[np.float32]
type Sources = dict[tuple[str, bool], list[str]]
"""Texts by (source, whether it is code)."""


def read_sources(files: list[str], folders: list[str]) -> Sources:
    """Return the texts of all sources, shuffled."""
    sources: Sources = defaultdict(list)
    for name in files:
        with Path(name).open(encoding="utf-8") as stream:
            for line in stream:
                record = json.loads(line)
                sources[record["source"], record["lang"] == "code"].append(record["text"])
    for folder in map(Path, folders):
        files_below = (Path(top) / name for top, _, names in folder.walk() for name in names)
        for file in sorted(p for p in files_below if p.suffix in EXTENSIONS):
            if 200 < file.stat().st_size < 300_000:
                text = file.read_text(encoding="utf-8", errors="replace")
                sources[folder.name, True].append(text)
    for key in sorted(sources):
        random.shuffle(sources[key])
    return sources


def samples(texts: list[str]) -> list[str]:
    """Return the texts that train, and a piece of many of them."""
    chosen = texts[: len(texts) * 4 // 5][:PER_SOURCE]
    pieces = []
    for text in chosen:
        size = random.choice(PIECES)
        if len(text) > size and random.random() < 0.6:
            start = random.randrange(len(text) - size)
            pieces.append(text[start : start + size])
    return chosen + pieces


def fit(rows: Matrix, labels: Matrix, weights: Matrix) -> Matrix:
    """Return the weights of a logistic regression with an L2 penalty, by Adam on all rows.

    Source: Kingma and Ba, "Adam: a method for stochastic optimization", 2015.
    """
    penalty = np.repeat(np.array([1e-6, 4e-6], np.float32), [NGRAM_SLOTS, LINE_SLOTS])
    model = np.zeros(rows.shape[1], np.float32)
    mean: Matrix = np.zeros_like(model)
    square: Matrix = np.zeros_like(model)
    for step in range(1, STEPS + 1):
        odds = 1 / (1 + np.exp(-(rows @ model)))
        gradient: Matrix = rows.T @ ((odds - labels) * weights) + penalty * model
        mean = np.float32(0.9) * mean + np.float32(0.1) * gradient
        square = np.float32(0.99) * square + np.float32(0.01) * gradient**2
        model -= 0.5 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    return model


def train(sources: Sources, held_out: set[str]) -> Matrix:
    """Return the weights, with code and prose counting equally."""
    texts, labels = list[str](), list[float]()
    for (source, is_code), all_texts in sorted(sources.items()):
        if source not in held_out:
            chosen = samples(all_texts)
            texts += chosen
            labels += [float(is_code)] * len(chosen)
    wanted = np.asarray(labels, np.float32)
    shares = np.where(wanted > 0, 0.5 / wanted.sum(), 0.5 / (1 - wanted).sum()).astype(np.float32)
    return fit(code_model.features(*code_points(texts)), wanted, shares)


def main() -> None:
    """Train, score each source, and write the model unless sources were held out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--code", nargs="*", default=[])
    parser.add_argument("--hold-out", nargs="*", default=[])
    arguments = parser.parse_args()
    random.seed(1)
    sources = read_sources(arguments.files, arguments.code)
    held_out = set(arguments.hold_out)
    model = np.clip(np.round(train(sources, held_out) * SCALE), -127, 127).astype(np.int8)
    print("source                          documents   right")
    for (source, is_code), texts in sorted(sources.items()):
        unseen = texts if source in held_out else texts[len(texts) * 4 // 5 :]
        if unseen:
            scores = code_model.code_scores(*code_points(unseen), model)
            right = float(((scores > 0) == is_code).mean())
            note = " held out" if source in held_out else ""
            print(f"{source:32}{len(unseen):9}  {right:.4f}{note}")
    if not held_out:
        np.save(code_model.FILE, model)


if __name__ == "__main__":
    main()
