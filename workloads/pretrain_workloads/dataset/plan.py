"""The plan of the training stream, which `compose` writes and `block` reads."""

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from pretrain_workloads.dataset.mixture import Numbers
from pretrain_workloads.storage import Folder
from pretrain_workloads.storage.arrays import read_arrays, write_arrays


@dataclass(frozen=True)
class StreamPlan:
    """The stream, and where its documents are."""

    firsts: Numbers
    """Number of the first document of each task of `tokenize`; the last entry is their total."""

    lengths: Numbers
    """Tokens of each document."""

    prompts: Numbers
    """How many of them, from the first on, are a prompt: they are read, but not learnt."""

    uses: npt.NDArray[Any]
    """The uses of documents (`mixture.USE`), in the order of the stream."""

    def write(self, folder: Folder, path: str) -> None:
        """Write the plan."""
        arrays = {
            "firsts": self.firsts,
            "lengths": self.lengths,
            "prompts": self.prompts,
            "uses": self.uses,
        }
        write_arrays(folder, path, arrays)


def read_plan(folder: Folder, path: str) -> StreamPlan:
    """Return the plan at `path`."""
    return StreamPlan(**read_arrays(folder, path))
