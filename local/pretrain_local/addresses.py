"""Loopback addresses: each cluster of the machine has a block of 127.0.0.0/8 to itself.

Linux answers on every address of 127.0.0.0/8, also for ordinary users, so a pod needs no network
namespace to have an IP address of its own.
"""

import errno
import socket
from dataclasses import dataclass

from pretrain_local.errors import LocalError

LOCK_PORT = 6443
"""UDP port on a block's first address; the processes of a cluster hold it to reserve the block.
UDP, because no component listens on UDP and the port stays free for TCP."""

_FIRST, _LAST = 10, 250
"""Lower blocks hold the addresses that DNS resolvers and test suites use."""


@dataclass(frozen=True)
class LoopbackBlock:
    """The addresses `127.<number>.0.1` to `127.<number>.255.254`."""

    number: int

    @property
    def host(self) -> str:
        """Return the address of the control plane and the node."""
        return f"127.{self.number}.0.1"

    def pod(self, index: int) -> str:
        """Return the address of pod `index` (0 to `POD_ADDRESSES - 1`)."""
        return f"127.{self.number}.{1 + index // 254}.{1 + index % 254}"


POD_ADDRESSES = 254 * 254
"""Pod addresses in a block: none ends in 0 or 255, none lies in the host's 127.x.0."""


def reserve(preferred: int | None = None) -> tuple[LoopbackBlock, socket.socket]:
    """Return a block that no cluster of the machine uses, and the socket that reserves it.

    The block stays reserved while any process holds the socket; child processes inherit it.

    Raises:
        LocalError: If no block is free.
    """
    numbers = list(range(_FIRST, _LAST + 1))
    if preferred is not None:
        numbers.insert(0, preferred)
    for number in numbers:
        block = LoopbackBlock(number)
        reservation = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            reservation.bind((block.host, LOCK_PORT))
        except OSError as error:
            reservation.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise LocalError(
                    f"cannot bind {block.host}: {error.strerror}; "
                    "a local cluster needs Linux with its loopback interface up"
                ) from error
            continue
        reservation.set_inheritable(True)
        return block, reservation
    raise LocalError(
        f"no loopback block from 127.{_FIRST} to 127.{_LAST} is free (UDP port {LOCK_PORT}); "
        "end another local cluster, or the program that holds this port on every address"
    )


def free_port(host: str, preferred: int) -> int:
    """Return `preferred` if nothing listens there on `host`, else a TCP port that is free.

    Raises:
        LocalError: If no port is free.
    """
    for port in (preferred, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise LocalError(f"no TCP port is free on {host}")
