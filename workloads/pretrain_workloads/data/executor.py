"""Run datatrove steps for one task, in this process.

datatrove's own executors import its hub client (a second for each pod), mark tasks as done without
regard to the number of tasks and the inputs, and leave half-written files under final names.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

type Documents = Iterator[Document]
"""What a step takes and returns."""


def run_steps(steps: list[PipelineStep], rank: int, tasks: int) -> None:
    """Pull every document through `steps`, in order."""
    documents: Iterable[Any] | None = None
    for step in steps:
        documents = step(documents, rank, tasks)
    deque(documents or (), maxlen=0)
