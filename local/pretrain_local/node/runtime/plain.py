"""A container as a plain process: links stand in for mounts, below a `/pretrain` of its own."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from pretrain_api import paths
from pretrain_local.node.api.pod_inputs import CREATING, NotReady
from pretrain_local.node.runtime.container_config import (
    SERVICE_ACCOUNT,
    Bind,
    CannotRun,
    Command,
    Launch,
)

_CLUSTER_SUFFIX = ".svc.cluster.local"


def prepare(launch: Launch, folder: Path, hosts: Mapping[str, str]) -> Command:
    """Return the command of a container whose paths below `/pretrain` lie in `folder`.

    Raises:
        CannotRun: If a volume is to be mounted elsewhere.
        NotReady: If a variable names a pod whose address is not known yet.
    """
    root = folder / "root"
    root_of_pretrain = link_binds(launch.binds, root)
    moved = path_mover(
        {
            launch.termination_path: str(folder / "termination-log"),
            paths.ROOT: str(root_of_pretrain),
        }
    )
    link_termination(launch.termination_path, root_of_pretrain, folder / "termination-log")
    environment = {
        name: moved(resolve_host(value, launch, hosts))
        for name, value in launch.environment.items()
    }
    # The machine's /tmp is everyone's; what is left there would outlive the pod.
    home = str(folder / "tmp")
    environment = {"HOME": home, "TMPDIR": home} | environment
    environment |= {
        paths.ROOT_VARIABLE: str(root_of_pretrain),
        paths.HOSTS_VARIABLE: str(hosts_file(folder)),
    }
    directory = moved(launch.directory) if launch.directory else home
    return Command([moved(word) for word in launch.argv], environment, directory)


def hosts_file(folder: Path) -> Path:
    """Return the hosts file of the pod whose attempt lies in `folder`."""
    return folder.parents[2] / "hosts"


def link_binds(binds: tuple[Bind, ...], root: Path) -> Path:
    """Make links below `root` for `binds`; return what stands for `/pretrain`.

    Raises:
        CannotRun: If a destination lies elsewhere or inside another one.
    """
    made: list[PurePosixPath] = []
    root.mkdir()
    for bind in binds:
        destination = PurePosixPath(bind.destination)
        inside = destination.is_relative_to(paths.ROOT)
        if not (inside or destination == PurePosixPath(SERVICE_ACCOUNT)):
            raise CannotRun(
                f"mountPath {bind.destination}: without bubblewrap a volume can be mounted only "
                f"below {paths.ROOT}; install bubblewrap, or mount it there"
            )
        for outer in made:
            if destination.is_relative_to(outer):
                raise CannotRun(
                    f"mountPath {bind.destination} lies inside {outer}, which needs bubblewrap; "
                    "install it, or mount the volumes side by side"
                )
        made.append(destination)
        link = root / destination.relative_to("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(bind.source)
    pretrain = root / PurePosixPath(paths.ROOT).relative_to("/")
    pretrain.mkdir(exist_ok=True)
    return pretrain


def link_termination(path: str, pretrain: Path, target: Path) -> None:
    """Let a program that resolves `path` through `$PRETRAIN_ROOT` reach the termination file."""
    target.touch()
    if PurePosixPath(path).is_relative_to(paths.ROOT):
        link = pretrain / PurePosixPath(path).relative_to(paths.ROOT)
        if not link.parent.is_symlink() and not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)


def path_mover(moves: Mapping[str, str]) -> Callable[[str], str]:
    """Return a function that replaces whole paths, and paths below them, inside a text.

    `/pretrain/x`, `--to=/pretrain` and `file:///pretrain/x` move; `/home/pretrain/x` does not.
    """
    longest_first = sorted(moves, key=len, reverse=True)
    alternatives = "|".join(re.escape(path) for path in longest_first)
    pattern = re.compile(rf"(?:(?<![\w./~-])|(?<=://))({alternatives})(?![\w.-])")

    def move(text: str) -> str:
        return pattern.sub(lambda match: moves[match[1]], text)

    return move


def resolve_host(value: str, launch: Launch, hosts: Mapping[str, str]) -> str:
    """Replace the name of a pod of this pod's headless Service by its address.

    `value` is a name or `name:port`. Anything else is returned as it is.

    Raises:
        NotReady: If it is such a name and the pod has no address yet.
    """
    if not launch.subdomain:
        return value
    host, separator, port = value.partition(":")
    base = f".{launch.subdomain}"
    suffixes = (base, f"{base}.{launch.namespace}", f"{base}.{launch.namespace}.svc",
                f"{base}.{launch.namespace}{_CLUSTER_SUFFIX}")  # fmt: skip
    if not host.endswith(suffixes) or (separator and not port.isdigit()):
        return value
    if host not in hosts:
        raise NotReady(f"waiting for the pod {host} to get an address", CREATING)
    return hosts[host] + separator + port
