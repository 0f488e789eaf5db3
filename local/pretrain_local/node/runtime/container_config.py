"""What a container shall run, before it is known how it will be kept apart from the machine."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pretrain_local.node.api.pod_inputs import Facts
from pretrain_local.node.api.pods import Container
from pretrain_local.node.runtime.environment import build_environment, expand

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where Kubernetes mounts a token into every pod that does not refuse it."""


class CannotRun(Exception):
    """The container cannot be started on this node, however long it waits."""


@dataclass(frozen=True)
class Bind:
    """A path of the machine that the container sees at `destination`."""

    source: Path
    destination: str
    read_only: bool = False


@dataclass(frozen=True)
class Launch:
    """A container, as its pod describes it."""

    argv: list[str]
    environment: dict[str, str]
    directory: str
    """Empty means the container's home."""
    binds: tuple[Bind, ...]
    termination_path: str
    hostname: str
    subdomain: str
    namespace: str


@dataclass(frozen=True)
class Command:
    """What the supervisor of a container executes, inside a sandbox or not."""

    argv: list[str]
    environment: dict[str, str]
    directory: str
    status_flag: str = ""
    """Flag by which a sandbox is told where to say the pid of the main process."""


@dataclass(frozen=True)
class Endpoint:
    """Where pods find the API server."""

    host: str
    port: int


@dataclass(frozen=True)
class Attributes:
    """What the node gives a container besides its spec."""

    endpoint: Endpoint
    gpu_numbers: tuple[int, ...] = ()
    volumes: Mapping[str, Path] = field(default_factory=dict)
    """Folder of each volume of the pod."""


def build_launch(container: Container, facts: Facts, attributes: Attributes) -> Launch:
    """Return what `container` shall run.

    Raises:
        NotReady: If it names an object that is absent.
        CannotRun: If there is no program to run.
    """
    environment = build_environment(container, facts, _base(facts, attributes))
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
    return Launch(
        argv=argv,
        environment=environment,
        directory=container.working_dir,
        binds=_binds(container, environment, attributes.volumes),
        termination_path=container.termination_message_path,
        hostname=facts.pod.hostname,
        subdomain=facts.pod.spec.subdomain,
        namespace=facts.pod.metadata.namespace,
    )


def _base(facts: Facts, attributes: Attributes) -> dict[str, str]:
    """Return the variables of every container: never those of the node itself."""
    shown = ",".join(str(number) for number in attributes.gpu_numbers)
    return {
        # Image names mean nothing here: `python` is the node's own.
        "PATH": f"{Path(sys.executable).parent}:{_SYSTEM_PATH}",
        "LANG": "C.UTF-8",
        "HOSTNAME": facts.pod.hostname,
        "KUBERNETES_SERVICE_HOST": attributes.endpoint.host,
        "KUBERNETES_SERVICE_PORT": str(attributes.endpoint.port),
        "CUDA_VISIBLE_DEVICES": shown,
    }


def _binds(
    container: Container, environment: Mapping[str, str], volumes: Mapping[str, Path]
) -> tuple[Bind, ...]:
    binds = []
    for mount in container.volume_mounts:
        sub_path = mount.sub_path or expand(mount.sub_path_expr, environment)
        source = volumes[mount.name] / sub_path if sub_path else volumes[mount.name]
        if not source.exists():
            source.mkdir(parents=True)
        binds.append(Bind(source, os.path.normpath(mount.mount_path), mount.read_only))
    # A mount below another one must come after it.
    return tuple(sorted(binds, key=lambda bind: bind.destination))


def require_program(name: str, search_path: str) -> None:
    """Check that a program that is named without a folder is on the container's `PATH`.

    Raises:
        CannotRun: If it is not.
    """
    if "/" not in name and shutil.which(name, path=search_path) is None:
        raise CannotRun(f'exec: "{name}": executable file not found in $PATH ({search_path})')
