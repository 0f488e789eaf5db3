"""Loopback addresses: each cluster of the machine has a block of 127.0.0.0/8 to itself.

Linux answers on every address of 127.0.0.0/8, for ordinary users too, so a pod needs no network
namespace to have an address of its own.
"""

import errno
import socket
from dataclasses import dataclass

from pretrain_local.errors import LocalError

LOCK_PORT = 6443
"""UDP port on a block's first address that all processes of its cluster hold: UDP, because
nothing listens there, and so it is in no one's way."""

_FIRST, _LAST = 10, 250
"""Low blocks hold the addresses that name resolvers and test suites use."""


@dataclass(frozen=True)
class Block:
    """The addresses `127.<number>.0.1` to `127.<number>.255.254`."""

    number: int

    @property
    def host(self) -> str:
        """Return the address of the control plane and the node."""
        return f"127.{self.number}.0.1"

    def pod(self, index: int) -> str:
        """Return the address of pod `index` (0 to `PODS - 1`)."""
        return f"127.{self.number}.{1 + index // 254}.{1 + index % 254}"


PODS = 254 * 254
"""Addresses for pods in a block: none ends in 0 or 255, none lies in the host's 127.x.0."""


def reserve(preferred: int | None = None) -> tuple[Block, socket.socket]:
    """Return a block that no cluster of the machine uses, and the socket that keeps it ours.

    The block stays reserved as long as one process holds the socket, so children inherit it.

    Raises:
        LocalError: If there is none.
    """
    numbers = list(range(_FIRST, _LAST + 1))
    if preferred is not None:
        numbers.insert(0, preferred)
    for number in numbers:
        holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            holder.bind((Block(number).host, LOCK_PORT))
        except OSError as error:
            holder.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise LocalError(
                    f"cannot bind {Block(number).host}: {error.strerror}; "
                    "a local cluster needs Linux with its loopback interface up"
                ) from error
            continue
        holder.set_inheritable(True)
        return Block(number), holder
    raise LocalError(
        f"no loopback block from 127.{_FIRST} to 127.{_LAST} is free (UDP port {LOCK_PORT}); "
        "end another local cluster, or the program that holds this port on every address"
    )


def free_port(host: str, preferred: int) -> int:
    """Return `preferred` if nothing listens there on `host`, else a port that is free."""
    for port in (preferred, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise LocalError(f"no TCP port is free on {host}")
