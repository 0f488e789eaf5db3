"""A batch: consecutive documents of a task, as columns.

The stage `prepare` passes batches from step to step, because a compiled kernel wants many texts in
one call, and because one Python object for each document would cost more than most rules.
"""

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pretrain_workloads.data.text.units import Offsets, Points, code_points, utf8_offsets

type Rows = npt.NDArray[np.int64]
"""Positions of documents in a batch, ascending."""


@dataclass(frozen=True)
class Batch:
    """Documents as columns of equal length. A step that changes a column makes a new batch."""

    ids: list[str]
    """Id of each record, as its source gives it; else its origin. Not always unique."""

    origins: list[str]
    """`<source>/<path>#<position>`: where a document comes from. Unique in a pipeline."""

    texts: list[str]
    """Text of each document; of a record with a prompt, prompt and completion together."""

    sources: list[str]
    """Name of each document's source."""

    domains: list[str]
    """Domain of each document."""

    languages: list[str]
    """Language of each document; empty as long as it is neither given nor detected."""

    scores: npt.NDArray[np.float32]
    """Confidence of the detected language, from 0 to 1; 1 where the source states it."""

    prompts: npt.NDArray[np.int32]
    """Characters at the start of each text that are a prompt."""

    features: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    """Numbers that scorers add, by name: `quality`, …"""

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.texts)

    @cached_property
    def _code_points(self) -> tuple[Points, Offsets]:
        return code_points(self.texts)

    @property
    def points(self) -> Points:
        """Return the code points of all texts, one after the other."""
        return self._code_points[0]

    @property
    def offsets(self) -> Offsets:
        """Return the offset of each text in `points`, and one more: the end."""
        return self._code_points[1]

    @cached_property
    def characters(self) -> npt.NDArray[np.int64]:
        """Return the Unicode characters of each text."""
        return np.fromiter(map(len, self.texts), np.int64, len(self))

    @cached_property
    def utf8(self) -> tuple[bytes, Offsets]:
        """Return the UTF-8 of all texts, one after the other, and the offset of each text in it.

        The last offset, one more than there are texts, is the end.
        """
        return "".join(self.texts).encode(), utf8_offsets(self.points, self.offsets)

    @cached_property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Return the bytes of UTF-8 of each text."""
        return np.diff(utf8_offsets(self.points, self.offsets))

    def select(self, rows: Rows) -> "Batch":
        """Return the documents at `rows`."""
        if len(rows) == len(self):
            return self
        chosen = rows.tolist()
        columns: dict[str, Any] = {}
        for column in fields(self):
            values = getattr(self, column.name)
            if isinstance(values, dict):
                columns[column.name] = {name: array[rows] for name, array in values.items()}
            elif isinstance(values, np.ndarray):
                columns[column.name] = values[rows]
            else:
                columns[column.name] = [values[row] for row in chosen]
        return Batch(**columns)

    def with_texts(self, texts: list[str]) -> "Batch":
        """Return the same documents with other texts."""
        return self if texts is self.texts else replace(self, texts=texts)

    def with_prompts(self, prompts: npt.NDArray[np.int32]) -> "Batch":
        """Return the same documents with other lengths of their prompts."""
        return replace(self, prompts=prompts)

    def with_languages(self, languages: list[str], scores: npt.NDArray[np.float32]) -> "Batch":
        """Return the same documents with their languages, and the confidence in each."""
        return replace(self, languages=languages, scores=scores)

    def with_domains(self, domains: list[str]) -> "Batch":
        """Return the same documents with other domains."""
        return replace(self, domains=domains)

    def with_feature(self, name: str, values: npt.NDArray[np.float32]) -> "Batch":
        """Return the same documents with one more feature."""
        return replace(self, features=self.features | {name: values})
