"""Hosts files of pods: they resolve the names of headless Services, since there is no DNS."""

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

    def names(self, from_namespace: str) -> list[str]:
        """Return the names of this pod that resolve in a pod in `from_namespace`."""
        if not self.subdomain:
            return []
        short = f"{self.hostname}.{self.subdomain}"
        qualified = f"{short}.{self.namespace}"
        names = [f"{qualified}.svc.cluster.local", f"{qualified}.svc", qualified]
        return [*names, short] if from_namespace == self.namespace else names


def addresses_by_name(hosts: Iterable[Host], from_namespace: str) -> dict[str, str]:
    """Return the address of every name that resolves in a pod in `from_namespace`."""
    return {name: host.address for host in hosts for name in host.names(from_namespace)}


def render(hosts: Iterable[Host], own: Host) -> str:
    """Return the hosts file of the pod `own`."""
    lines = [f"{own.address} {' '.join([*own.names(own.namespace), own.hostname])}"]
    for host in sorted(hosts):
        names = host.names(own.namespace)
        if host != own and names:
            lines.append(f"{host.address} {' '.join(names)}")
    return _HEAD + "\n".join(lines) + "\n"


def write_hosts(folder: Path, content: str) -> None:
    """Write a pod's two hosts files, if their content has changed.

    `hosts` is replaced atomically. `etc-hosts` is bind-mounted, so its inode must stay: it is
    overwritten by one write and padded, never truncated, so that no reader sees half of it.
    """
    replaced, mounted = folder / "hosts", folder / "etc-hosts"
    if replaced.exists() and replaced.read_text() == content:
        return
    data = content.encode()
    if mounted.exists():
        data = data.ljust(mounted.stat().st_size, b"\n")
        with open(mounted, "r+b", buffering=0) as file:
            file.write(data)
    else:
        write_atomically(mounted, data, 0o644)
    write_atomically(replaced, content, 0o644)
