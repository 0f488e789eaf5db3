"""Where the pods of an attempt meet."""

from pretrain_api.digests import digest
from pretrain_api.paths import PROGRESS_PORT

_FIRST, _COUNT = 20_000, 10_000
assert not _FIRST <= PROGRESS_PORT < _FIRST + _COUNT


def rendezvous_port(uid: str, attempt: int) -> int:
    """Return the TCP port of the attempt `attempt` of the object `uid`.

    PyTorch's store binds the port on every address of its machine, so two runs that share a
    machine's network must not share a port; nor must two attempts of one run, one still ending.
    The ports lie below the range from which Linux takes those of outgoing connections.
    """
    return _FIRST + (int(digest(uid)[:8], 16) + attempt) % _COUNT


def rendezvous_host(job: str, service: str, namespace: str) -> str:
    """Return the DNS name of pod 0 of `job`, behind the headless Service `service`."""
    return f"{job}-0.{service}.{namespace}.svc"
