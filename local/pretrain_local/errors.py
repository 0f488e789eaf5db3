"""Two kinds of failure: a user must act, or a component died and `up` can start it again."""


class LocalError(Exception):
    """The user must act; the message says what would do."""


class ComponentDied(LocalError):
    """A component of the cluster ended by itself; the message holds the tail of its log."""

    def __init__(self, name: str, tail: str) -> None:
        super().__init__(f"{name} ended by itself; the end of its log:\n{tail}")
        self.name = name
        self.tail = tail
