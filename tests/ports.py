"""Free ports for servers that take a port number: outside the kernel's ephemeral range.

A port that `bind(0)` picks is ephemeral: an outgoing connection may get it before the server does.
"""

import itertools
import os
import socket

_FIRST, _COUNT = 20_000, 10_000
_numbers = itertools.count(os.getpid() * 64)


def free_port() -> int:
    """Return a TCP port that is free and that this process has not returned before."""
    for _ in range(_COUNT):
        port = _FIRST + next(_numbers) % _COUNT
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port
    raise OSError("no port is free")
