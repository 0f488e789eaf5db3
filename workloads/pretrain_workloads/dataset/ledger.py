"""`ledger.parquet`: every use of every document, in training stream and validation set."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pretrain_api.artifacts import ArtifactFile
from pretrain_workloads.dataset.files import LEDGER
from pretrain_workloads.storage import Folder


@dataclass(frozen=True)
class LedgerUses:
    """The uses of documents, and the artifacts that these lie in."""

    training: npt.NDArray[Any]
    """The training stream (`mixture.USE`)."""

    validation: npt.NDArray[Any]
    """The uses of the validation set; their part is -1."""

    artifacts: list[str]
    """Digests of the artifacts of documents."""


def write_ledger(
    folder: Folder, documents: pa.Table, uses: LedgerUses, block_tokens: int
) -> ArtifactFile:
    """Write one row for each use: the document, its part and epoch, its position in the stream.

    Artifact and row identify a document, by the digest of the one and by the row of its index; ids
    may occur twice.

    Args:
        folder: Folder of the artifact.
        documents: The tokenized documents (`tokenize.DOCUMENTS`).
        uses: The uses.
        block_tokens: Tokens of a full block.
    """
    streams = (uses.training, uses.validation)
    both = np.concatenate(streams)
    starts = np.concatenate([np.cumsum(u["tokens"]) - u["tokens"] for u in streams])
    used = documents.take(pa.array(both["document"]))
    split = np.where(both["part"] < 0, "validation", "train")
    artifacts = pa.DictionaryArray.from_arrays(used["artifact"].combine_chunks(), uses.artifacts)
    table = pa.table(
        {
            "id": used["id"],
            "artifact": artifacts.cast(pa.string()),
            "row": used["row"],
            "language": used["language"],
            "domain": used["domain"],
            "source": used["source"],
            "split": pa.array(split.tolist(), pa.string()),
            "part": pa.array(both["part"]),
            "epoch": pa.array(both["epoch"]),
            "tokens": pa.array(both["tokens"]),
            "start": pa.array(starts),
            "block": pa.array((starts // block_tokens).astype(np.int32)),
        }
    )
    with folder.publish(LEDGER) as publication:
        pq.write_table(table, publication.local, compression="zstd")
    assert publication.file is not None
    return publication.file
