"""Containers as plain processes: symbolic links replace mounts, below a `/pretrain` of their own.

The container's `/pretrain` is a folder of the attempt. Paths below `/pretrain` in its command and
environment are rewritten, and names of pods are replaced by their addresses.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from pretrain_api import paths
from pretrain_local.node.api.pod_inputs import CREATING, NotReady
from pretrain_local.node.runtime.attempts import pod_folder
from pretrain_local.node.runtime.container_config import (
    SERVICE_ACCOUNT,
    BindMount,
    CannotRun,
    Command,
    ContainerConfig,
)

_CLUSTER_SUFFIX = ".svc.cluster.local"


def prepare(config: ContainerConfig, folder: Path, hosts: Mapping[str, str]) -> Command:
    """Return the command of a container whose `/pretrain` is below the attempt's `folder`.

    Raises:
        CannotRun: If a volume is mounted elsewhere.
        NotReady: If a variable names a pod that has no address yet.
    """
    pretrain = link_mounts(config.mounts, folder / "root")
    termination = folder / "termination-log"
    link_termination(config.termination_path, pretrain, termination)
    rewrite = path_rewriter(
        {config.termination_path: str(termination), paths.ROOT: str(pretrain)},
    )
    environment = {
        name: rewrite(resolve_host(value, config, hosts))
        for name, value in config.environment.items()
    }
    # Not the machine's /tmp: files there would outlive the pod.
    home = str(folder / "tmp")
    environment = {"HOME": home, "TMPDIR": home} | environment
    environment |= {
        paths.ROOT_VARIABLE: str(pretrain),
        paths.HOSTS_VARIABLE: str(pod_folder(folder) / "hosts"),
    }
    directory = rewrite(config.directory) if config.directory else home
    return Command([rewrite(word) for word in config.argv], environment, directory)


def link_mounts(mounts: tuple[BindMount, ...], root: Path) -> Path:
    """Make a link below `root` for each mount; return the folder that replaces `/pretrain`.

    Raises:
        CannotRun: If a destination is not below `/pretrain`, or is inside another one.
    """
    linked: list[PurePosixPath] = []
    root.mkdir()
    for mount in mounts:
        destination = PurePosixPath(mount.destination)
        inside = destination.is_relative_to(paths.ROOT)
        if not (inside or destination == PurePosixPath(SERVICE_ACCOUNT)):
            raise CannotRun(
                f"mountPath {mount.destination}: without bubblewrap a volume can be mounted only "
                f"below {paths.ROOT}; install bubblewrap, or mount it there"
            )
        for outer in linked:
            if destination.is_relative_to(outer):
                raise CannotRun(
                    f"mountPath {mount.destination} lies inside {outer}, which needs bubblewrap; "
                    "install it, or mount the volumes side by side"
                )
        linked.append(destination)
        link = root / destination.relative_to("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(mount.source)
    pretrain = root / PurePosixPath(paths.ROOT).relative_to("/")
    pretrain.mkdir(exist_ok=True)
    return pretrain


def link_termination(path: str, pretrain: Path, target: Path) -> None:
    """Link `path` below the folder `pretrain` to the termination file `target`.

    Programs that resolve the path through `$PRETRAIN_ROOT` need the link.
    """
    target.touch()
    if PurePosixPath(path).is_relative_to(paths.ROOT):
        link = pretrain / PurePosixPath(path).relative_to(paths.ROOT)
        if not link.parent.is_symlink() and not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)


def path_rewriter(replacements: Mapping[str, str]) -> Callable[[str], str]:
    """Return a function that replaces whole paths, and the start of paths below them, in a text.

    `/pretrain/x`, `--to=/pretrain` and `file:///pretrain/x` change; `/home/pretrain/x` does not.
    """
    longest_first = sorted(replacements, key=len, reverse=True)
    alternatives = "|".join(re.escape(path) for path in longest_first)
    pattern = re.compile(rf"(?:(?<![\w./~-])|(?<=://))({alternatives})(?![\w.-])")

    def rewrite(text: str) -> str:
        return pattern.sub(lambda match: replacements[match[1]], text)

    return rewrite


def resolve_host(value: str, config: ContainerConfig, hosts: Mapping[str, str]) -> str:
    """Replace the name of a pod of the same headless Service by its address.

    `value` is a name or `name:port`; anything else is returned unchanged.

    Raises:
        NotReady: If it is such a name and the pod has no address yet.
    """
    if not config.subdomain:
        return value
    host, separator, port = value.partition(":")
    base = f".{config.subdomain}"
    suffixes = (base, f"{base}.{config.namespace}", f"{base}.{config.namespace}.svc",
                f"{base}.{config.namespace}{_CLUSTER_SUFFIX}")  # fmt: skip
    if not host.endswith(suffixes) or (separator and not port.isdigit()):
        return value
    if host not in hosts:
        raise NotReady(f"waiting for the pod {host} to get an address", CREATING)
    return hosts[host] + separator + port
