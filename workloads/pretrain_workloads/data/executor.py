"""Run datatrove steps for one task in this process.

datatrove's own executors import its hub client (a second for each pod), write markers that know
neither the number of tasks nor the inputs, and leave half-written files under final names; the
steps themselves need none of that.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

type Documents = Iterator[Document]
"""What flows from step to step."""


def run_steps(steps: list[PipelineStep], rank: int, tasks: int) -> None:
    """Pull every document through `steps`, in order."""
    flow: Iterable[Any] | None = None
    for step in steps:
        flow = step(flow, rank, tasks)
    deque(flow or (), maxlen=0)
