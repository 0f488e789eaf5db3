"""Keep the records that cannot be read, with their position and what is wrong."""

from collections import Counter
from typing import Any

from pydantic_core import to_json

from pretrain_api.v1alpha1.pipeline.sources import Source
from pretrain_workloads.storage import Folder

MAX_RECORD_BYTES = 2000
"""Bytes of a bad record that are kept."""


class Quarantine:
    """The bad records of one task."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def add(self, source: Source, path: str, position: str, reason: str, record: bytes) -> None:
        """Keep a bad record.

        Args:
            source: Source of the record.
            path: File of the record, relative to the folder of the source.
            position: Position in the file.
            reason: What is wrong; the text before the first colon is the kind of problem.
            record: Content of the record.
        """
        self.records.append(
            {
                "source": source.name,
                "path": path,
                "position": position,
                "reason": reason,
                "record": record[:MAX_RECORD_BYTES].decode("utf-8", "replace"),
            }
        )

    def counts(self) -> dict[str, int]:
        """Return the number of bad records for each kind of problem."""
        kinds = (str(record["reason"]).partition(":")[0] for record in self.records)
        return dict(sorted(Counter(kinds).items()))

    def publish(self, folder: Folder, path: str) -> None:
        """Write all bad records as JSON lines."""
        with folder.publish(path) as publication, publication.local.open("wb") as stream:
            for record in self.records:
                stream.write(to_json(record) + b"\n")
