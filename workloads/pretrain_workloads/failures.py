"""Exceptions that decide the exit class of a workload; all other failures are retried."""


class UserError(Exception):
    """The manifest, a Secret or a location is wrong; the message says which, and the remedy."""


class BadData(Exception):
    """An input file cannot be read. The message names the file and the position in it."""


class Preempted(BaseException):
    """The node asked the pod to end (SIGTERM)."""
