"""How the servers of Kubernetes are started: for an ordinary user, on loopback only."""

import sys
from pathlib import Path

from pretrain_local.control_plane.pki import FRONT_PROXY, FRONT_PROXY_AUTHORITY
from pretrain_local.state import ClusterState, Layout

SERVICES = "10.96.0.0/16"
"""Cluster addresses of Services; nothing routes them here, pods find each other by name."""
SERVICE_HOST = "10.96.0.1"

ETCD, APISERVER, NODE = "etcd", "kube-apiserver", "node"
CONTROLLER_MANAGER, SCHEDULER = "kube-controller-manager", "kube-scheduler"
COMPONENTS = (ETCD, APISERVER, CONTROLLER_MANAGER, SCHEDULER, NODE)
"""In the order of starting; each needs the ones before it."""

_QPS = ("--kube-api-qps=200", "--kube-api-burst=400")
"""The default of 20 requests a second makes a Job of many pods slow."""


def command(name: str, layout: Layout, state: ClusterState, binary: Path) -> list[str]:
    """Return the command line of component `name`; `binary` is its program."""
    build = {
        ETCD: etcd,
        APISERVER: apiserver,
        CONTROLLER_MANAGER: controller_manager,
        SCHEDULER: scheduler,
        NODE: node,
    }[name]
    return [str(binary), *build(layout, state)]


def etcd(layout: Layout, state: ClusterState) -> list[str]:
    """Return the flags of etcd; only holders of a certificate may talk to it."""
    client = f"https://{state.block.host}:{state.ports.etcd}"
    peer = f"https://{state.block.host}:{state.ports.etcd_peer}"
    pki = layout.pki
    return [
        f"--data-dir={layout.etcd}",
        # What one machine's cluster holds need not survive a power cut.
        "--unsafe-no-fsync",
        "--log-level=warn",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        "--name=local",
        f"--initial-cluster=local={peer}",
        "--client-cert-auth",
        f"--trusted-ca-file={pki}/ca.crt",
        f"--cert-file={pki}/etcd.crt",
        f"--key-file={pki}/etcd.key",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={pki}/ca.crt",
        f"--peer-cert-file={pki}/etcd.crt",
        f"--peer-key-file={pki}/etcd.key",
    ]


def apiserver(layout: Layout, state: ClusterState) -> list[str]:
    """Return the flags of the API server."""
    pki, host = layout.pki, state.block.host
    return [
        f"--etcd-servers=https://{host}:{state.ports.etcd}",
        f"--etcd-cafile={pki}/ca.crt",
        f"--etcd-certfile={pki}/etcd.crt",
        f"--etcd-keyfile={pki}/etcd.key",
        f"--bind-address={host}",
        f"--advertise-address={host}",
        f"--secure-port={state.ports.apiserver}",
        # It refuses to publish a loopback address as the Service `kubernetes`.
        "--endpoint-reconciler-type=none",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki}/sa.pub",
        f"--service-account-signing-key-file={pki}/sa.key",
        f"--service-cluster-ip-range={SERVICES}",
        f"--kubelet-client-certificate={pki}/apiserver-logs.crt",
        f"--kubelet-client-key={pki}/apiserver-logs.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={pki}/{FRONT_PROXY_AUTHORITY}.crt",
        f"--requestheader-allowed-names={FRONT_PROXY.common_name}",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={pki}/{FRONT_PROXY.file}.crt",
        f"--proxy-client-key-file={pki}/{FRONT_PROXY.file}.key",
        "--profiling=false",
    ]


def controller_manager(layout: Layout, state: ClusterState) -> list[str]:
    """Return the flags of the controller manager."""
    pki = layout.pki
    return [
        *_client(layout, "controller-manager"),
        f"--bind-address={state.block.host}",
        f"--secure-port={state.ports.controller_manager}",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={pki}/sa.key",
        f"--root-ca-file={pki}/ca.crt",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        *_QPS,
        "--profiling=false",
    ]


def scheduler(layout: Layout, state: ClusterState) -> list[str]:
    """Return the flags of the scheduler."""
    return [
        *_client(layout, "scheduler"),
        f"--bind-address={state.block.host}",
        f"--secure-port={state.ports.scheduler}",
        "--leader-elect=false",
        *_QPS,
        "--profiling=false",
    ]


def _client(layout: Layout, user: str) -> list[str]:
    return [
        f"--kubeconfig={layout.client(user)}",
        f"--authentication-kubeconfig={layout.client(user)}",
        f"--authorization-kubeconfig={layout.client(user)}",
        f"--tls-cert-file={layout.pki}/{user}.crt",
        f"--tls-private-key-file={layout.pki}/{user}.key",
    ]


def node(layout: Layout, state: ClusterState) -> list[str]:
    """Return the arguments of the process node, for a Python interpreter."""
    return [
        "-m",
        "pretrain_local.node",
        f"--state={layout.root}",
        f"--name={state.node_name}",
        f"--sandbox={state.sandbox}",
    ]


PYTHON = Path(sys.executable)
"""The interpreter of the node; its pods find the same one first."""
