"""Ports for servers that have to be told one: outside the range that connections take theirs from.

A port that the kernel picks for `bind(0)` may be given to the next outgoing connection before the
server that it was picked for binds it.
"""

import itertools
import os
import socket

_FIRST, _COUNT = 20_000, 10_000
_numbers = itertools.count(os.getpid() * 64)


def free_port() -> int:
    """Return a TCP port that nobody uses and that this process has not given before."""
    for _ in range(_COUNT):
        port = _FIRST + next(_numbers) % _COUNT
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port
    raise OSError("no port is free")
