"""Read what a DataPipeline made: the index of its documents, and their shards."""

import pyarrow as pa

from pretrain_workloads.data.files import INDEX
from pretrain_workloads.data.shards import read_columns
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder, read_manifest


def read_index(documents: Folder, columns: tuple[str, ...]) -> pa.Table:
    """Return columns of the index of a documents artifact (`layout.INDEX_COLUMNS`).

    Raises:
        UserError: If the artifact is not complete.
    """
    if read_manifest(documents) is None:
        raise UserError(f"{documents.uri}: holds no complete documents; run its DataPipeline again")
    return read_columns(documents, INDEX, columns)


def document_shards(documents: Folder) -> list[str]:
    """Return the paths of the shards of a documents artifact, in the order of its index.

    Raises:
        UserError: If the artifact is not complete.
    """
    manifest = read_manifest(documents)
    if manifest is None:
        raise UserError(f"{documents.uri}: holds no complete documents; run its DataPipeline again")
    return sorted(f.path for f in manifest.files if f.path.startswith("documents/"))
