"""Precision and recall of scrubbing on labelled strings, and its speed on real text.

make bench-scrub [CORPUS=FOLDER]
"""

import json
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from batches import make_batch
from pretrain_api.v1alpha1.pipeline.scrub import Scrub
from pretrain_workloads.data.scrub.kinds import ACTIONS, KINDS
from pretrain_workloads.data.scrub.scrubber import Scrubber
from scrub_labels import labels

EVERYTHING = Scrub.model_validate({name: "mask" for name in KINDS if name not in ACTIONS})
PER_KIND = 500
TEXTS = 3000


def accuracy() -> None:
    """Print for each kind how much planted data is found, and how many look-alikes are left."""
    right: Counter[tuple[str, bool]] = Counter()
    total: Counter[tuple[str, bool]] = Counter()
    for label in labels(PER_KIND):
        text = Scrubber(EVERYTHING).scrub(make_batch([label.text]))[0].texts[0]
        planted = bool(label.value)
        total[label.kind, planted] += 1
        right[label.kind, planted] += label.value not in text if planted else text == label.text
    print(f"{'kind':16}{'planted':>9}{'found':>9}{'look-alikes':>13}{'left alone':>12}")
    for kind in sorted({kind for kind, _ in total}):
        found = right[kind, True] / total[kind, True]
        left = right[kind, False] / total[kind, False]
        print(f"{kind:16}{total[kind, True]:9}{found:9.2%}{total[kind, False]:13}{left:12.2%}")


def speed(corpus: Path) -> None:
    """Print MB per CPU-second of all kinds together, and what they find in real text."""
    for language in ("zh", "en", "code"):
        with (corpus / f"{language}.jsonl").open(encoding="utf-8") as stream:
            texts = [json.loads(line)["text"] for line in stream][:: 1 + 7 * (language == "zh")]
        batch = make_batch(texts[:TEXTS])
        scrubber, started = Scrubber(EVERYTHING), time.process_time()
        scrubber.scrub(batch)
        seconds = time.process_time() - started
        size = int(batch.sizes.sum()) / 1e6
        print(f"{language}: {size / seconds:.0f} MB per CPU-second; {dict(scrubber.counts)}")


if __name__ == "__main__":
    accuracy()
    if len(sys.argv) > 1:
        speed(Path(sys.argv[1]))
