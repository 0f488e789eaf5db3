"""What a reader of a format gets: the piece to read, its source, and where bad records go."""

from dataclasses import dataclass

from pretrain_api.v1alpha1.pipeline.sources import Source
from pretrain_workloads.data.sources.pieces import Piece
from pretrain_workloads.data.sources.quarantine import Quarantine
from pretrain_workloads.storage import Folder


@dataclass(frozen=True)
class PieceReading:
    """The reading of one piece."""

    source: Source
    folder: Folder
    """Folder of the source."""

    piece: Piece
    quarantine: Quarantine
    max_record_bytes: int
    """Larger records are bad, and never held in memory."""

    @property
    def uri(self) -> str:
        """Return the URI of the file, for messages."""
        return self.folder.uri_of(self.piece.path)

    def reject(self, position: str, reason: str, record: bytes) -> None:
        """Put a bad record into quarantine."""
        self.quarantine.add(self.source, self.piece.path, position, reason, record)
