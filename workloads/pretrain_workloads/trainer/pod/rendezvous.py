"""The rendezvous of all ranks: the address of pod 0."""

import ipaddress
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from pretrain_api import paths

_POLL_SECONDS = 0.5


class Unresolved(Exception):
    """The name of pod 0 does not resolve yet; the next attempt may succeed."""


def find_address(host: str, seconds: float, sleep: Callable[[float], None] = time.sleep) -> str:
    """Return the address of `host`, waiting up to `seconds` for its record.

    The record of a headless Service appears when pod 0 has an address. A node that cannot mount
    `/etc/hosts` names another hosts file, which it keeps up to date.

    Raises:
        Unresolved: If the name does not resolve in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        address = _from_hosts_file(host) or _from_resolver(host)
        if address is not None:
            return address
        if time.monotonic() >= deadline:
            raise Unresolved(
                f"{host}: has no address after {seconds:.0f} s; pod 0 did not start, or the "
                "cluster's DNS does not know the headless Service of the run"
            )
        sleep(_POLL_SECONDS)


def is_loopback(address: str) -> bool:
    """Return whether `address` never leaves the machine."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _from_resolver(host: str) -> str | None:
    try:
        addresses = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return None
    return str(addresses[0][4][0])


def _from_hosts_file(host: str) -> str | None:
    file = os.environ.get(paths.HOSTS_VARIABLE)
    if not file:
        return None
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        address, *names = line.partition("#")[0].split() or [""]
        if host in names:
            return address
    return None
