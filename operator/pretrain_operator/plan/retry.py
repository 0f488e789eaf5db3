"""Retry an object that has failed: the user changes the value of an annotation."""

from pretrain_api.meta import RETRY_ANNOTATION
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.objects import ObservedObject

_LONGEST = 63


def retry_value(item: ObservedObject | ObservedJob) -> str | None:
    """Return the value of the annotation; shortened, since the status keeps it for each attempt."""
    return item.annotations.get(RETRY_ANNOTATION, "")[:_LONGEST] or None


def retry_hint(owner: ObservedObject) -> str:
    """Return the retry command, to be appended to the message of a failure."""
    value = retry_value(owner) or ""
    new = int(value) + 1 if value.isascii() and value.isdecimal() else 1
    key = owner.key
    return (
        f"; to retry: kubectl annotate -n {key.namespace} {key.kind.lower()} {key.name}"
        f" {RETRY_ANNOTATION}={new} --overwrite"
    )
