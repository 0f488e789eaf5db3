"""A local cluster as one thing: up, down, status."""

import fcntl
import shutil
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
from pretrain_local.control_plane import components as controlplane
from pretrain_local.control_plane import kubeconfig, pki
from pretrain_local.control_plane.admin_client import Api
from pretrain_local.control_plane.components import (
    APISERVER,
    COMPONENTS,
    CONTROLLER_MANAGER,
    NODE,
    SCHEDULER,
)
from pretrain_local.errors import ComponentDied, LocalError
from pretrain_local.node.api.resources import build_amounts, parse_amount
from pretrain_local.node.runtime import attempts as containers
from pretrain_local.node.runtime import sandbox
from pretrain_local.processes import Processes
from pretrain_local.state import ClusterState, Layout, NodeResources, Ports, default_state

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
        self.layout = Layout(state or default_state())
        self._resources = resources
        self._sandbox = sandbox_kind
        self._report = report
        self._processes = Processes(self.layout.run, self.layout.logs)
        self._holder: socket.socket | None = None

    @property
    def kubeconfig(self) -> Path:
        """Return the administrator's kubeconfig."""
        return self.layout.kubeconfig

    def __enter__(self) -> Self:
        """Bring the cluster up."""
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
        """Take the cluster down."""
        self.down()

    def up(self) -> Path:
        """Start what does not run yet, wait until pods can be made, return the kubeconfig.

        Raises:
            LocalError: If programs are missing or a component does not come up.
        """
        programs = {**binaries.find_all(report=self._report), NODE: controlplane.PYTHON}
        self.layout.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._locked():
            self._explain_deaths()
            known = self.layout.read()
            try:
                state = known if known and self._has_survivors() else self._prepare(known)
                self._start_all(programs, self._with_wishes(state))
            finally:
                # The processes that were started hold it now.
                if self._holder is not None:
                    self._holder.close()
        return self.kubeconfig

    def down(self) -> None:
        """Stop every process, pods first, and remove what the cluster wrote."""
        if not self.layout.root.exists():
            return
        with self._locked():
            # What would replace a stopped pod goes first.
            for name in (CONTROLLER_MANAGER, SCHEDULER, NODE):
                self._processes.stop(name, _STOP_SECONDS)
            containers.stop_all(self.layout.pods, _STOP_SECONDS)
            for name in reversed(COMPONENTS):
                self._processes.stop(name, _STOP_SECONDS)
            self._remove()

    def status(self) -> list[ComponentStatus]:
        """Return the state of each process, in the order of starting; empty if it is down."""
        if self.layout.read() is None:
            return []
        return [self._component(name) for name in COMPONENTS]

    def _component(self, name: str) -> ComponentStatus:
        pid = self._processes.pid(name)
        if pid is None:
            return ComponentStatus(name, None, 0, self._processes.tail(name))
        return ComponentStatus(name, pid, procfs.resident_bytes(pid), "")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one command change the cluster at a time."""
        with open(self.layout.lock, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _explain_deaths(self) -> None:
        for name in COMPONENTS:
            if self._processes.has(name) and self._processes.pid(name) is None:
                death = ComponentDied(name, self._processes.tail(name))
                self._report(f"{death}\nstarting it again")
                self._processes.forget(name)

    def _has_survivors(self) -> bool:
        running = any(self._processes.pid(name) for name in COMPONENTS)
        return running or containers.any_running(self.layout.pods)

    def _prepare(self, known: ClusterState | None) -> ClusterState:
        """Choose addresses, and write certificates and kubeconfigs for them."""
        layout = self.layout
        block, self._holder = addresses.reserve(known.block_number if known else None)
        wished = Ports()
        ports = Ports(**{name: addresses.free_port(block.host, port) for name, port in wished})
        state = ClusterState(
            block_number=block.number,
            ports=ports,
            resources=NodeResources.of_this_machine(),
            sandbox=sandbox.choose(self._sandbox, self._report),
            node_name=NODE_NAME,
        )
        identities = pki.identities(block.host, controlplane.SERVICE_HOST, NODE_NAME)
        pki.Authority(layout.pki).issue(identities)
        pki.Authority(layout.pki, pki.FRONT_PROXY_AUTHORITY).issue([pki.FRONT_PROXY])
        pki.ensure_service_account_key(layout.pki)
        for user in ("controller-manager", "scheduler"):
            kubeconfig.write_kubeconfig(layout.client(user), state.server, layout.pki, user)
        kubeconfig.write_kubeconfig(layout.kubeconfig, state.server, layout.pki, "admin")
        return state

    def _with_wishes(self, state: ClusterState) -> ClusterState:
        """Return `state` with the resources that this command asks for, and remember it."""
        if self._resources is not None and self._resources != state.resources:
            state = state.model_copy(update={"resources": self._resources})
            if self._processes.pid(NODE) is not None:
                self._report("the node starts again with other resources; its pods go on")
                self._processes.stop(NODE, _STOP_SECONDS)
        write_atomically(self.layout.record, state.model_dump_json(indent=2))
        return state

    def _start_all(self, programs: Mapping[str, Path], state: ClusterState) -> None:
        api = Api(state.server, self.layout.pki)
        for name in COMPONENTS:
            if self._processes.pid(name) is None:
                argv = controlplane.command(name, self.layout, state, programs[name])
                self._processes.start(name, argv)
            if name == APISERVER:
                self._wait("the API server", api.is_ready)
        self._wait("the node and the default service account", lambda: _takes_pods(api, state))

    def _wait(self, what: str, is_done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not is_done():
            for name in COMPONENTS:
                if self._processes.has(name) and self._processes.pid(name) is None:
                    raise ComponentDied(name, self._processes.tail(name))
            if time.monotonic() > deadline:
                raise LocalError(
                    f"{what} did not become ready within {_START_SECONDS:.0f} s; "
                    f"the logs lie in {self.layout.logs}"
                )
            time.sleep(_POLL_SECONDS)

    def _remove(self) -> None:
        layout = self.layout
        for folder in (layout.pki, layout.run, layout.logs, layout.etcd, layout.pods):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (layout.record, layout.kubeconfig, layout.lock):
            file.unlink(missing_ok=True)
        try:
            layout.root.rmdir()
        except OSError:
            pass  # The user keeps files of their own beside ours.


def _takes_pods(api: Api, state: ClusterState) -> bool:
    """Return whether a pod that is made now can start."""
    node = api.get(f"/api/v1/nodes/{state.node_name}")
    if node is None or node["spec"].get("taints"):
        return False
    conditions = {c["type"]: c["status"] for c in node["status"].get("conditions", [])}
    capacity = node["status"].get("capacity", {})
    advertised = all(
        parse_amount(capacity.get(name, 0)) == parse_amount(amount)
        for name, amount in build_amounts(state.resources).items()
    )
    account = api.get("/api/v1/namespaces/default/serviceaccounts/default")
    return conditions.get("Ready") == "True" and advertised and account is not None
