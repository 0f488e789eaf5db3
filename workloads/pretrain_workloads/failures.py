"""Exceptions that decide the exit class of a workload. All other failures are retried."""


class UserError(Exception):
    """The manifest, a Secret or a location is wrong: names it, its value and the remedy."""


class BadData(Exception):
    """An input cannot be read: names the file and the place in it."""


class Preempted(BaseException):
    """The node asked the pod to end (SIGTERM)."""
