"""A local cluster as one object: up, down, status."""

import fcntl
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pretrain_local import addresses, binaries, procfs
from pretrain_local.atomic_files import write_atomically
from pretrain_local.control_plane import components
from pretrain_local.control_plane.admin_client import AdminClient
from pretrain_local.control_plane.components import (
    APISERVER,
    COMPONENTS,
    CONTROLLER_MANAGER,
    NODE,
    SCHEDULER,
)
from pretrain_local.control_plane.credentials import write_credentials
from pretrain_local.errors import ComponentDied, LocalError
from pretrain_local.files import ClusterFiles, default_state
from pretrain_local.node.api.resources import build_capacity, parse_resource_quantity
from pretrain_local.node.runtime import sandbox, supervision
from pretrain_local.processes import Processes
from pretrain_local.state import ClusterState, NodeResources, Ports

NODE_NAME = "local"
_START_SECONDS = 90.0
"""Longest wait for the API server or the node; three seconds are usual on two free cores."""
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class ComponentStatus:
    """One process of the cluster."""

    name: str
    pid: int | None
    """None means that it died."""
    resident_bytes: int
    tail: str
    """The end of its log, if it died."""


class LocalCluster:
    """Kubernetes on this machine, with all its files below the folder `state`."""

    def __init__(
        self,
        state: Path | None = None,
        resources: NodeResources | None = None,
        sandbox_kind: str = "auto",
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Prepare a cluster; start nothing yet.

        Args:
            state: The folder; None means `default_state()`.
            resources: Capacity of the node; None means what it had, at first this machine's.
            sandbox_kind: One of `sandbox.KINDS`.
            report: Receives lines of progress and warnings.
        """
        self.files = ClusterFiles(state or default_state())
        self._resources = resources
        self._sandbox = sandbox_kind
        self._report = report
        self._processes = Processes(self.files.run, self.files.logs)
        self._reservation: socket.socket | None = None

    @property
    def kubeconfig(self) -> Path:
        """Return the administrator's kubeconfig."""
        return self.files.kubeconfig

    def __enter__(self) -> Self:
        """Start the cluster."""
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the cluster and remove its files."""
        self.down()

    def up(self) -> Path:
        """Start the components that do not run, wait until pods can start, return the kubeconfig.

        Raises:
            LocalError: If programs are missing or a component does not start.
        """
        programs = {**binaries.find_all(report=self._report), NODE: components.PYTHON}
        self.files.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._locked():
            self._forget_dead_components()
            stored = self.files.read_state()
            try:
                state = stored if stored and self._is_running() else self._prepare(stored)
                self._start_all(programs, self._apply_resources(state))
            finally:
                # The components have inherited the socket that reserves the addresses.
                if self._reservation is not None:
                    self._reservation.close()
        return self.kubeconfig

    def down(self) -> None:
        """Stop every process, pods first, and remove the cluster's files."""
        if not self.files.root.exists():
            return
        with self._locked():
            # First those that would replace a stopped pod.
            for name in (CONTROLLER_MANAGER, SCHEDULER, NODE):
                self._processes.stop(name, _STOP_SECONDS)
            supervision.stop_all(self.files.pods, _STOP_SECONDS)
            for name in reversed(COMPONENTS):
                self._processes.stop(name, _STOP_SECONDS)
            self.files.remove()

    def status(self) -> list[ComponentStatus]:
        """Return the status of each component, in start order; empty if the cluster is down."""
        if self.files.read_state() is None:
            return []
        return [self._component(name) for name in COMPONENTS]

    def _component(self, name: str) -> ComponentStatus:
        pid = self._processes.pid(name)
        if pid is None:
            return ComponentStatus(name, None, 0, self._processes.tail(name))
        return ComponentStatus(name, pid, procfs.resident_bytes(pid), "")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Allow one command at a time to change the cluster."""
        with open(self.files.lock, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _is_dead(self, name: str) -> bool:
        return self._processes.has(name) and self._processes.pid(name) is None

    def _forget_dead_components(self) -> None:
        for name in COMPONENTS:
            if self._is_dead(name):
                death = ComponentDied(name, self._processes.tail(name))
                self._report(f"{death}\nstarting it again")
                self._processes.forget(name)

    def _is_running(self) -> bool:
        """Return whether a component or a container still uses the stored addresses."""
        running = any(self._processes.pid(name) for name in COMPONENTS)
        return running or supervision.any_running(self.files.pods)

    def _prepare(self, stored: ClusterState | None) -> ClusterState:
        """Reserve addresses, preferably the stored ones, and write credentials for them."""
        block, self._reservation = addresses.reserve(stored.block_number if stored else None)
        ports = {name: addresses.free_port(block.host, port) for name, port in Ports()}
        state = ClusterState(
            block_number=block.number,
            ports=Ports(**ports),
            resources=NodeResources.of_this_machine(),
            sandbox=sandbox.choose(self._sandbox, self._report),
            node_name=NODE_NAME,
        )
        write_credentials(self.files, state)
        return state

    def _apply_resources(self, state: ClusterState) -> ClusterState:
        """Return `state` with the resources of this command, and store it."""
        if self._resources is not None and self._resources != state.resources:
            state = state.model_copy(update={"resources": self._resources})
            if self._processes.pid(NODE) is not None:
                self._report("the node restarts with other resources; its pods keep running")
                self._processes.stop(NODE, _STOP_SECONDS)
        write_atomically(self.files.record, state.model_dump_json(indent=2))
        return state

    def _start_all(self, programs: Mapping[str, Path], state: ClusterState) -> None:
        client = AdminClient(state.server, self.files.pki)
        for name in COMPONENTS:
            if self._processes.pid(name) is None:
                argv = components.command(name, self.files, state, programs[name])
                self._processes.start(name, argv)
            if name == APISERVER:
                self._wait("the API server", client.is_ready)
        self._wait("the node and the default service account", lambda: _can_run_pods(client, state))

    def _wait(self, subject: str, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not is_ready():
            for name in COMPONENTS:
                if self._is_dead(name):
                    raise ComponentDied(name, self._processes.tail(name))
            if time.monotonic() > deadline:
                raise LocalError(
                    f"{subject} did not become ready within {_START_SECONDS:.0f} s; "
                    f"the logs are in {self.files.logs}"
                )
            time.sleep(_POLL_SECONDS)


def _can_run_pods(client: AdminClient, state: ClusterState) -> bool:
    """Return whether a pod that is created now can start."""
    node = client.get(f"/api/v1/nodes/{state.node_name}")
    if node is None or node["spec"].get("taints"):
        return False
    conditions = {c["type"]: c["status"] for c in node["status"].get("conditions", [])}
    capacity = node["status"].get("capacity", {})
    is_advertised = all(
        parse_resource_quantity(capacity.get(name, 0)) == parse_resource_quantity(amount)
        for name, amount in build_capacity(state.resources).items()
    )
    account = client.get("/api/v1/namespaces/default/serviceaccounts/default")
    return conditions.get("Ready") == "True" and is_advertised and account is not None
