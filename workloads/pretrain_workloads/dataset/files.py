"""Which file holds what: the artifact's own, and those that stages hand to each other."""

BLOCKS = "blocks.json"
"""What the blocks are; the trainer starts from it."""

LEDGER = "ledger.parquet"
"""Every use of every document."""


def block(number: int) -> str:
    """Return the path of a block, without `.bin` and `.idx`."""
    return f"blocks/{number:05d}"


VALIDATION = "validation/00000"
"""Path of the held-out sequences, without `.bin` and `.idx`."""


class DatasetFiles:
    """Names of the files between stages; the number of tasks is in all of them."""

    def __init__(self, tasks: int) -> None:
        self.root = f"work/tasks-{tasks}"
        self.plan = f"{self.root}/compose/plan.npz"
        self.composed = f"{self.root}/compose/done.json"

    def _of(self, stage: str, rank: int, end: str) -> str:
        return f"{self.root}/{stage}/{rank:05d}.{end}"

    def tokens(self, rank: int) -> str:
        """Return the tokens of a task's documents, one behind the other."""
        return self._of("tokenize", rank, "bin")

    def documents(self, rank: int) -> str:
        """Return the documents of a task with their numbers of tokens; written last."""
        return self._of("tokenize", rank, "parquet")

    def written(self, rank: int) -> str:
        """Return the blocks that a task wrote; written last."""
        return self._of("block", rank, "json")
