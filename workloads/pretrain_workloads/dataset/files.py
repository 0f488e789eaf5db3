"""Paths of the files in an artifact of token blocks, and of those between its stages."""

LEDGER = "ledger.parquet"
"""Lists every use of every document."""

WORK = "work"
"""Folder of the files between stages; it is deleted when the artifact is complete."""


def validation(number: int) -> str:
    """Return the path of a validation set, without `.bin` and `.idx`."""
    return f"validation/{number:05d}"


def block(number: int) -> str:
    """Return the path of a block, without `.bin` and `.idx`."""
    return f"blocks/{number:05d}"


class DatasetFiles:
    """Paths of the files between stages; all of them contain the number of tasks."""

    def __init__(self, tasks: int) -> None:
        self._root = f"{WORK}/tasks-{tasks}"
        self.plan = f"{self._root}/compose/plan.npz"
        self.composed = f"{self._root}/compose/done.json"

    def _of(self, stage: str, rank: int, extension: str) -> str:
        return f"{self._root}/{stage}/{rank:05d}.{extension}"

    def tokens(self, rank: int) -> str:
        """Return the path of the tokens of a task's documents, concatenated."""
        return self._of("tokenize", rank, "bin")

    def documents(self, rank: int) -> str:
        """Return the path of the documents of a task with their token counts; written last."""
        return self._of("tokenize", rank, "parquet")

    def written(self, rank: int) -> str:
        """Return the path of the list of blocks that a task wrote; written last."""
        return self._of("block", rank, "json")
