"""Names of children: valid DNS labels, and different for different owners."""

import re

from pretrain_api.digests import digest

MAX_CHILD_NAME = 52
"""Longest name of a Job. A pod of an Indexed Job is called `<job>-<index>-<5 characters>` and has
the host name `<job>-<index>`, a DNS label of at most 63: this leaves five digits for the index."""

_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DIGITS = 10


def child_name(owner: str, suffix: str) -> str:
    """Return the name of the child `suffix` of the object `owner`: `<owner>-<suffix>`.

    An owner whose name is too long, or is no DNS-1035 label, is shortened and gets a digest, so
    that different owners have different children.
    """
    name = f"{owner}-{suffix}"
    if len(name) <= MAX_CHILD_NAME and _LABEL.fullmatch(name):
        return name
    length = MAX_CHILD_NAME - len(suffix) - _DIGITS - 2
    readable = re.sub(r"[^-a-z0-9]+", "-", owner)
    if not readable[:1].isalpha():
        readable = f"p-{readable.lstrip('-')}"
    return f"{readable[:length].rstrip('-')}-{digest(owner)[:_DIGITS]}-{suffix}"


def stage_job_name(owner: str, stage: str, key: str) -> str:
    """Return the name of the Job of a stage; `key` is a digest of the Job's owner and input."""
    return child_name(owner, f"{stage}-{key[:8]}")


def attempt_job_name(owner: str, attempt: int) -> str:
    """Return the name of the Job of an attempt of a PretrainJob."""
    return child_name(owner, f"a{attempt}")


def service_name(owner: str) -> str:
    """Return the name of the headless Service of a PretrainJob's pods."""
    return child_name(owner, "pods")
