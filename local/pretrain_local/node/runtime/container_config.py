"""The configuration of a container, computed from its pod, before a sandbox is chosen."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pretrain_local.node.api.pod_inputs import PodInputs
from pretrain_local.node.api.pods import Container
from pretrain_local.node.runtime.environment import build_environment, expand

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where Kubernetes mounts the service account's token, unless the pod opts out."""


class CannotRun(Exception):
    """The container can never start on this node; retrying does not help."""


@dataclass(frozen=True)
class BindMount:
    """A path of the machine that the container sees at `destination`."""

    source: Path
    destination: str
    read_only: bool = False


@dataclass(frozen=True)
class ContainerConfig:
    """What a container runs, and what it sees."""

    argv: list[str]
    environment: dict[str, str]
    directory: str
    """Working directory; empty means the sandbox's default."""
    mounts: tuple[BindMount, ...]
    termination_path: str
    hostname: str
    subdomain: str
    namespace: str


@dataclass(frozen=True)
class Command:
    """What the supervisor of a container executes: the program itself or its sandbox."""

    argv: list[str]
    environment: dict[str, str]
    directory: str
    status_flag: str = ""
    """Flag of the sandbox for the file descriptor to which it writes the main process's pid."""


@dataclass(frozen=True)
class ApiEndpoint:
    """Where pods reach the API server."""

    host: str
    port: int


@dataclass(frozen=True)
class RunOptions:
    """What the node adds to a container's spec."""

    endpoint: ApiEndpoint
    gpu_numbers: tuple[int, ...] = ()
    volumes: Mapping[str, Path] = field(default_factory=dict)
    """Folder of each volume of the pod."""


def build_config(container: Container, inputs: PodInputs, options: RunOptions) -> ContainerConfig:
    """Return the configuration of `container`.

    Raises:
        NotReady: If it references an object that is absent.
        CannotRun: If it names no program, or is a sidecar.
    """
    environment = build_environment(container, inputs, _base_environment(inputs, options))
    argv = [expand(word, environment) for word in (*container.command, *container.args)]
    if container.restart_policy:
        raise CannotRun(
            f'container "{container.name}" has restartPolicy {container.restart_policy}: the '
            "process node has no sidecars; list it among the containers"
        )
    if not container.command:
        raise CannotRun(
            f'container "{container.name}" has no command; the process node does not read '
            "images, so it knows no other program to run"
        )
    return ContainerConfig(
        argv=argv,
        environment=environment,
        directory=container.working_dir,
        mounts=_mounts(container, environment, options.volumes),
        termination_path=container.termination_message_path,
        hostname=inputs.pod.hostname,
        subdomain=inputs.pod.spec.subdomain,
        namespace=inputs.pod.metadata.namespace,
    )


def _base_environment(inputs: PodInputs, options: RunOptions) -> dict[str, str]:
    """Return the variables that every container has; the node's own are not inherited."""
    return {
        # There are no images, so `python` is the node's interpreter.
        "PATH": f"{Path(sys.executable).parent}:{_SYSTEM_PATH}",
        "LANG": "C.UTF-8",
        "HOSTNAME": inputs.pod.hostname,
        "KUBERNETES_SERVICE_HOST": options.endpoint.host,
        "KUBERNETES_SERVICE_PORT": str(options.endpoint.port),
        "CUDA_VISIBLE_DEVICES": ",".join(str(number) for number in options.gpu_numbers),
    }


def _mounts(
    container: Container, environment: Mapping[str, str], volumes: Mapping[str, Path]
) -> tuple[BindMount, ...]:
    mounts = []
    for mount in container.volume_mounts:
        sub_path = mount.sub_path or expand(mount.sub_path_expr, environment)
        source = volumes[mount.name] / sub_path if sub_path else volumes[mount.name]
        if not source.exists():
            source.mkdir(parents=True)
        mounts.append(BindMount(source, os.path.normpath(mount.mount_path), mount.read_only))
    # A nested mount must come after the one that contains it.
    return tuple(sorted(mounts, key=lambda mount: mount.destination))


def require_program(name: str, search_path: str) -> None:
    """Check that a program named without a folder is on the container's `PATH`.

    Raises:
        CannotRun: If it is not.
    """
    if "/" not in name and shutil.which(name, path=search_path) is None:
        raise CannotRun(f'exec: "{name}": executable file not found in $PATH ({search_path})')
