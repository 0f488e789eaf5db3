"""Read a finished artifact of documents: its index and its shards."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from pretrain_api.artifacts import Manifest
from pretrain_workloads.data.files import INDEX
from pretrain_workloads.data.shards import read_columns
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder, read_manifest


def read_index(documents: Folder, columns: tuple[str, ...]) -> pa.Table:
    """Return columns of the index (`files.INDEX_COLUMNS`) of an artifact of documents.

    Raises:
        UserError: If the artifact is incomplete.
    """
    _complete_manifest(documents)
    return read_columns(documents, INDEX, columns)


def document_shards(documents: Folder) -> list[str]:
    """Return the paths of the shards of an artifact of documents, in the order of its index.

    Raises:
        UserError: If the artifact is incomplete.
    """
    manifest = _complete_manifest(documents)
    return sorted(f.path for f in manifest.files if f.path.startswith("documents/"))


def id_hashes(documents: pa.Table) -> npt.NDArray[np.uint64]:
    """Return a hash of the `id` of each document; orders by it do not depend on the sharding."""
    ids = documents["id"].to_pylist()
    return np.fromiter((xxhash.xxh3_64_intdigest(i.encode()) for i in ids), np.uint64, len(ids))


def _complete_manifest(documents: Folder) -> Manifest:
    manifest = read_manifest(documents)
    if manifest is None:
        raise UserError(f"{documents.uri}: holds no complete documents; run its DataPipeline again")
    return manifest
