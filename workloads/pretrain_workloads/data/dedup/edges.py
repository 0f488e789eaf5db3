"""The record of a near-duplicate pair, which `match` writes and `decide` reads."""

from typing import Any

import numpy as np
import numpy.typing as npt

EDGE = np.dtype([("left", np.int64), ("right", np.int64), ("similarity", np.float32)])
"""Two documents, by their numbers over all tasks (left < right), and their similarity."""

type Edges = npt.NDArray[Any]
"""An array of `EDGE`."""
