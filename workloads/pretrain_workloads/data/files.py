"""Paths of the files in an artifact of documents, and of those between its stages."""

INDEX = "index.parquet"
"""All documents of the artifact, without their text."""

REPORT = "report.json"
PAGE = "report.html"

WORK = "work"
"""Folder of the files between stages; it is deleted when the artifact is complete."""

INDEX_COLUMNS = (
    "id",
    "origin",
    "language",
    "domain",
    "source",
    "quality",
    "bytes",
    "characters",
    "prompt",
    "hash",
    "cluster",
    "copies",
)
"""Columns of a document except `text`. `origin` (`<source>/<path>#<position>`) is unique, `id` is
what the source gives; `prompt` counts the characters at the start that are a prompt; `hash` is
XXH3-128 of the text; `cluster` is the smallest number of its near-duplicates;
`copies` is the size of its cluster, a name that stays because it is in artifacts; `quality` is a
score from 0 to 1, empty where no model gives one."""


def documents(rank: int) -> str:
    """Return the path of the shard of final documents of a task."""
    return f"documents/{rank:05d}.parquet"


def model(name: str) -> str:
    """Return the path of a model that was trained for the artifact: `quality` or `domain`."""
    return f"models/{name}.npz"


def quarantine(rank: int) -> str:
    """Return the path of the unreadable records of a task, with the reasons."""
    return f"quarantine/{rank:05d}.jsonl"


def dropped(rank: int) -> str:
    """Return the path of the table of a task's dropped documents (`shards.DROPPED`)."""
    return f"dropped/{rank:05d}.parquet"


class PipelineFiles:
    """Paths of the files between stages.

    All of them contain the number of tasks: when that changes, no stage reads the files of
    another division.
    """

    def __init__(self, tasks: int) -> None:
        self._root = f"{WORK}/tasks-{tasks}"
        self.inputs = f"{self._root}/inputs.json"
        self.decided = f"{self._root}/decide/done.json"
        self.models = f"{WORK}/models.json"

    def _of(self, stage: str, rank: int, extension: str) -> str:
        return f"{self._root}/{stage}/{rank:05d}.{extension}"

    def shard(self, rank: int) -> str:
        """Return the path of the documents of a task that passed the rules."""
        return self._of("prepare", rank, "parquet")

    def signatures(self, rank: int) -> str:
        """Return the path of their MinHash signatures, row by row."""
        return self._of("prepare", rank, "signatures")

    def bands(self, rank: int) -> str:
        """Return the path of their text hashes, scores and band keys, column by column."""
        return self._of("prepare", rank, "bands")

    def quarantine(self, rank: int) -> str:
        """Return the path of the unreadable records of a task."""
        return self._of("prepare", rank, "quarantine.jsonl")

    def dropped(self, rank: int) -> str:
        """Return the path of the documents that the rules dropped, without their text."""
        return self._of("prepare", rank, "dropped.parquet")

    def prepared(self, rank: int) -> str:
        """Return the path of the counts and samples of a task; written last: the task is done."""
        return self._of("prepare", rank, "json")

    def edges(self, rank: int) -> str:
        """Return the path of the near-duplicate pairs that a task found."""
        return self._of("match", rank, "npy")

    def decisions(self, rank: int) -> str:
        """Return the path of the decisions about the documents of a prepared shard."""
        return self._of("decide", rank, "npy")

    def written(self, rank: int) -> str:
        """Return the path of a task's list of artifact files; written last: the task is done."""
        return self._of("write", rank, "json")
