"""Errors of the local cluster; their messages say what to do."""


class LocalError(Exception):
    """The user must act; the message says how."""


class ComponentDied(LocalError):
    """A component of the cluster ended by itself; `up` starts it again."""

    def __init__(self, name: str, tail: str) -> None:
        super().__init__(f"{name} ended by itself; the end of its log:\n{tail}")
        self.name = name
        self.tail = tail
