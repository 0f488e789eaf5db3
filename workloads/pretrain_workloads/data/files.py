"""Which file holds what: the artifact's own, and those that stages hand to each other."""

INDEX = "index.parquet"
"""All documents of the artifact, without their text."""

REPORT = "report.json"
PAGE = "report.html"

PREPARED_COLUMNS = ("id", "language", "domain", "source", "bytes", "characters", "hash")
"""Columns of a prepared shard beside `text`; `hash` is that of the text."""

INDEX_COLUMNS = (
    "id",
    "language",
    "domain",
    "source",
    "quality",
    "bytes",
    "characters",
    "cluster",
    "copies",
)
"""Columns of a document beside `text`. `cluster` is the smallest number of its near-duplicates;
`copies` counts the documents that it stands for; `quality` is empty until a scorer ran."""


def documents(rank: int) -> str:
    """Return the shard of final documents of a task."""
    return f"documents/{rank:05d}.parquet"


def quarantine(rank: int) -> str:
    """Return the records that a task could not read, with the reasons."""
    return f"quarantine/{rank:05d}.jsonl"


class PipelineFiles:
    """Names of the files between stages. The number of tasks is in all of them, so that
    a pipeline that is cut differently never meets the files of the first cut."""

    def __init__(self, tasks: int) -> None:
        self.tasks = tasks
        self.root = f"work/tasks-{tasks}"
        self.inputs = f"{self.root}/inputs.json"
        self.decided = f"{self.root}/decide/done.json"

    def _of(self, stage: str, rank: int, end: str) -> str:
        return f"{self.root}/{stage}/{rank:05d}.{end}"

    def shard(self, rank: int) -> str:
        """Return the documents that passed the rules of a task."""
        return self._of("prepare", rank, "parquet")

    def signatures(self, rank: int) -> str:
        """Return their MinHash signatures."""
        return self._of("prepare", rank, "npy")

    def quarantine(self, rank: int) -> str:
        """Return the records that a task could not read."""
        return self._of("prepare", rank, "quarantine.jsonl")

    def prepared(self, rank: int) -> str:
        """Return the counts and samples of a task; written last, so it says that it is done."""
        return self._of("prepare", rank, "json")

    def edges(self, rank: int) -> str:
        """Return the near-duplicate pairs that a task found."""
        return self._of("match", rank, "npy")

    def decisions(self, rank: int) -> str:
        """Return which documents of a shard stay, and their clusters."""
        return self._of("decide", rank, "npy")

    def written(self, rank: int) -> str:
        """Return the files that a task added to the artifact; written last."""
        return self._of("write", rank, "json")
