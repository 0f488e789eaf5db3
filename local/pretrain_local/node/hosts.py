"""Hosts files: the names of the pods of headless Services, where there is no DNS."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pretrain_local.atomic_files import write_atomically

_HEAD = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"


@dataclass(frozen=True, order=True)
class Host:
    """A pod and its address."""

    namespace: str
    hostname: str
    subdomain: str
    address: str

    def names(self, viewer_namespace: str) -> list[str]:
        """Return the names by which a pod in `viewer_namespace` may call this one."""
        if not self.subdomain:
            return []
        short = f"{self.hostname}.{self.subdomain}"
        qualified = f"{short}.{self.namespace}"
        names = [f"{qualified}.svc.cluster.local", f"{qualified}.svc", qualified]
        return [*names, short] if viewer_namespace == self.namespace else names


def addresses_of(hosts: Iterable[Host], viewer_namespace: str) -> dict[str, str]:
    """Return the address of every name that a pod in `viewer_namespace` may use."""
    return {name: host.address for host in hosts for name in host.names(viewer_namespace)}


def render(hosts: Iterable[Host], viewer: Host) -> str:
    """Return the hosts file of the pod `viewer`."""
    lines = [f"{viewer.address} {' '.join([*viewer.names(viewer.namespace), viewer.hostname])}"]
    for host in sorted(hosts):
        names = host.names(viewer.namespace)
        if host != viewer and names:
            lines.append(f"{host.address} {' '.join(names)}")
    return _HEAD + "\n".join(lines) + "\n"


def write_hosts(folder: Path, content: str) -> None:
    """Write a pod's two hosts files, if they say something else.

    `hosts` is replaced as a whole. `etc-hosts` is mounted, so it must stay the same file: it is
    written over in one go and padded, never cut, so that no reader sees half of it.
    """
    plain, mounted = folder / "hosts", folder / "etc-hosts"
    if plain.exists() and plain.read_text() == content:
        return
    data = content.encode()
    if mounted.exists():
        data = data.ljust(mounted.stat().st_size, b"\n")
        with open(mounted, "r+b", buffering=0) as file:
            file.write(data)
    else:
        write_atomically(mounted, data, 0o644)
    write_atomically(plain, content, 0o644)
