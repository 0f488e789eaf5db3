"""`ledger.parquet`: every use of every document, in training stream and validation set."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pretrain_api.artifacts import ArtifactFile
from pretrain_workloads.dataset.files import LEDGER
from pretrain_workloads.storage import Folder


def write_ledger(
    folder: Folder,
    documents: pa.Table,
    uses: npt.NDArray[Any],
    validation: npt.NDArray[Any],
    block_tokens: int,
) -> ArtifactFile:
    """Write one row for each use: the document, its part and epoch, its position in the stream.

    Args:
        folder: Folder of the artifact.
        documents: The tokenized documents (`tokenize.DOCUMENTS`).
        uses: The training stream (`mixture.USE`).
        validation: The uses of the validation set; their part is -1.
        block_tokens: Tokens of a full block.
    """
    both = np.concatenate((uses, validation))
    starts = np.concatenate([np.cumsum(u["tokens"]) - u["tokens"] for u in (uses, validation)])
    used = documents.take(pa.array(both["document"]))
    split = np.where(both["part"] < 0, "validation", "train")
    table = pa.table(
        {
            "id": used["id"],
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
