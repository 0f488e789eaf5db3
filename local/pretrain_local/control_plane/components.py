"""Command lines of the cluster's components: for an ordinary user, on loopback only."""

import sys
from pathlib import Path

from pretrain_local.control_plane.certificate_requests import FRONT_PROXY, FRONT_PROXY_AUTHORITY
from pretrain_local.files import ClusterFiles
from pretrain_local.state import ClusterState

SERVICE_CIDR = "10.96.0.0/16"
"""Cluster IPs of Services; there is no proxy, so pods reach each other by hosts files instead."""
SERVICE_HOST = "10.96.0.1"
"""Cluster IP of the Service `kubernetes`."""

ETCD, APISERVER, NODE = "etcd", "kube-apiserver", "node"
CONTROLLER_MANAGER, SCHEDULER = "kube-controller-manager", "kube-scheduler"
COMPONENTS = (ETCD, APISERVER, CONTROLLER_MANAGER, SCHEDULER, NODE)
"""In start order: each component needs the earlier ones."""

_QPS = ("--kube-api-qps=200", "--kube-api-burst=400")
"""The default of 20 requests a second is too slow for a Job with many pods."""


def command(name: str, files: ClusterFiles, state: ClusterState, binary: Path) -> list[str]:
    """Return the command line of component `name`; `binary` is its program."""
    build = {
        ETCD: etcd,
        APISERVER: apiserver,
        CONTROLLER_MANAGER: controller_manager,
        SCHEDULER: scheduler,
        NODE: node,
    }[name]
    return [str(binary), *build(files, state)]


def etcd(files: ClusterFiles, state: ClusterState) -> list[str]:
    """Return the flags of etcd; clients and peers need a certificate."""
    client = f"https://{state.block.host}:{state.ports.etcd}"
    peer = f"https://{state.block.host}:{state.ports.etcd_peer}"
    pki = files.pki
    return [
        f"--data-dir={files.etcd}",
        # Without fsync etcd is faster; a local cluster need not survive a power cut.
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


def apiserver(files: ClusterFiles, state: ClusterState) -> list[str]:
    """Return the flags of the API server."""
    pki, host = files.pki, state.block.host
    return [
        f"--etcd-servers=https://{host}:{state.ports.etcd}",
        f"--etcd-cafile={pki}/ca.crt",
        f"--etcd-certfile={pki}/etcd.crt",
        f"--etcd-keyfile={pki}/etcd.key",
        f"--bind-address={host}",
        f"--advertise-address={host}",
        f"--secure-port={state.ports.apiserver}",
        # The default reconciler refuses a loopback address as endpoint of the Service `kubernetes`.
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
        f"--service-cluster-ip-range={SERVICE_CIDR}",
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


def controller_manager(files: ClusterFiles, state: ClusterState) -> list[str]:
    """Return the flags of the controller manager."""
    pki = files.pki
    return [
        *_client(files, "controller-manager"),
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


def scheduler(files: ClusterFiles, state: ClusterState) -> list[str]:
    """Return the flags of the scheduler."""
    return [
        *_client(files, "scheduler"),
        f"--bind-address={state.block.host}",
        f"--secure-port={state.ports.scheduler}",
        "--leader-elect=false",
        *_QPS,
        "--profiling=false",
    ]


def _client(files: ClusterFiles, user: str) -> list[str]:
    return [
        f"--kubeconfig={files.component_kubeconfig(user)}",
        f"--authentication-kubeconfig={files.component_kubeconfig(user)}",
        f"--authorization-kubeconfig={files.component_kubeconfig(user)}",
        f"--tls-cert-file={files.pki}/{user}.crt",
        f"--tls-private-key-file={files.pki}/{user}.key",
    ]


def node(files: ClusterFiles, state: ClusterState) -> list[str]:
    """Return the arguments of the process node, for a Python interpreter."""
    return [
        "-m",
        "pretrain_local.node",
        f"--state={files.root}",
        f"--name={state.node_name}",
        f"--sandbox={state.sandbox}",
    ]


PYTHON = Path(sys.executable)
"""The interpreter that runs the node; it comes first on the PATH of pods."""
