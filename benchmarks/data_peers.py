"""What the data stages are measured against: the floor of reading, and datatrove's own blocks."""

import os
import subprocess
import sys
from pathlib import Path

from stage_bench import children_cpu

_FLOOR = """
import gzip, sys, orjson
for line in (gzip.open if sys.argv[1].endswith(".gz") else open)(sys.argv[1], "rb"):
    orjson.loads(line)["text"]
"""

_DATATROVE = """
import sys
from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.filters import GopherRepetitionFilter, LambdaFilter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import ParquetWriter
source, target, language = sys.argv[1:]
steps = [
    JsonlReader(source, compression="infer"),
    LambdaFilter(lambda document: len(document.text) >= 16),
    GopherRepetitionFilter(language=language),
    ParquetWriter(target + "/documents"),
    MinhashDedupSignature(target + "/signatures", config=MinhashConfig(), language=language),
]
documents = None
for step in steps:
    documents = step(documents, 0, 1)
for _ in documents or ():
    pass
for step in steps:
    getattr(step, "close", lambda: None)()
"""


def floor_seconds(file: Path) -> float:
    """Return the CPU seconds of reading, decompressing and parsing JSON lines, and nothing else."""
    return _cpu([sys.executable, "-c", _FLOOR, str(file)])


def datatrove_seconds(folder: Path, target: Path, language: str) -> float:
    """Return the CPU seconds of datatrove's blocks for the work of `prepare`.

    They read JSON lines, drop short and repetitive documents, write parquet, and sign documents
    for near-deduplication. They detect no language, count nothing, and list nothing they drop.
    """
    code = "en" if language == "code" else language  # datatrove has no rules for code
    return _cpu([sys.executable, "-c", _DATATROVE, str(folder), str(target), code])


def _cpu(command: list[str]) -> float:
    before = children_cpu()
    changes = {"HF_HUB_OFFLINE": "1"}
    subprocess.run(
        command, check=True, env=os.environ | changes, stderr=subprocess.DEVNULL, timeout=1200
    )
    return children_cpu() - before
