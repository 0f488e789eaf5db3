"""Read the pieces of a task as datatrove documents.

datatrove's own readers skip unreadable records without a count, and cannot read a part of a file.
"""

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from pretrain_api.v1alpha1.datapipeline import Source
from pretrain_workloads.data.executor import Documents
from pretrain_workloads.data.sources.formats import FORMATS
from pretrain_workloads.data.sources.pieces import Piece
from pretrain_workloads.data.sources.quarantine import Quarantine
from pretrain_workloads.data.sources.records import SourceRecord
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder


class ReadPieces(PipelineStep):  # type: ignore[misc]
    """Reads pieces; unreadable records go to quarantine.

    Args:
        sources: Sources of the spec.
        folders: Folders of the sources that the pieces come from, by index of the source.
        pieces: Pieces to read, in order.
        quarantine: Takes the unreadable records.
    """

    name = "pieces"
    type = "reader"

    def __init__(
        self,
        sources: list[Source],
        folders: dict[int, Folder],
        pieces: list[Piece],
        quarantine: Quarantine,
    ) -> None:
        super().__init__()
        self._sources, self._folders = sources, folders
        self._pieces, self._quarantine = pieces, quarantine

    def run(self, data: Documents | None, rank: int = 0, world_size: int = 1) -> Documents:
        """Yield the documents of the pieces, in order.

        Raises:
            BadData: If a file is damaged.
            UserError: If a file has changed since it was listed.
        """
        for piece in self._pieces:
            source, folder = self._sources[piece.source], self._folders[piece.source]
            _check_unchanged(folder, piece)
            for record in FORMATS[piece.format].read(source, folder, piece, self._quarantine):
                yield _document(source, piece, record)


def _check_unchanged(folder: Folder, piece: Piece) -> None:
    file = folder.stat(piece.path)
    if (file.size, file.version) != (piece.size, piece.version):
        raise UserError(
            f"{folder.uri_of(piece.path)}: has changed since the pipeline listed it; "
            "edit or recreate the DataPipeline to read the new content"
        )


def _document(source: Source, piece: Piece, record: SourceRecord) -> Document:
    return Document(
        text=record.text,
        id=record.id or f"{source.name}/{piece.path}#{record.position}",
        metadata={
            "source": source.name,
            "domain": source.domain,
            "language": None if source.language == "auto" else source.language,
            "score": 1.0,
            "path": piece.path,
        },
    )
