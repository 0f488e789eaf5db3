"""The certificates that a cluster needs: one for each component and client."""

from dataclasses import dataclass

KUBELET_CLIENT_USER = "kube-apiserver-kubelet-client"
"""User name of the API server when it reads a node's logs."""

_ADMINISTRATORS = "system:masters"
_SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


@dataclass(frozen=True)
class CertificateRequest:
    """The subject and the alternative names of one certificate."""

    file: str
    """Name of the certificate and key files, without suffix."""
    common_name: str
    """User name, for Kubernetes."""
    organization: str | None = None
    """Group of users, for Kubernetes."""
    addresses: tuple[str, ...] = ()
    """IP addresses it serves on."""
    names: tuple[str, ...] = ()
    """DNS names it serves as."""


FRONT_PROXY_AUTHORITY = "front-proxy-ca"
"""A separate authority: the API server lets its clients act for any user."""
FRONT_PROXY = CertificateRequest("front-proxy", "front-proxy-client")
"""The API server, when it passes a user's request on to an aggregated API server."""


def cluster_certificates(host: str, service_host: str, node: str) -> list[CertificateRequest]:
    """Return the certificates of a cluster on address `host`, but for the front proxy's."""
    return [
        CertificateRequest("etcd", "etcd", addresses=(host, "127.0.0.1")),
        CertificateRequest(
            "apiserver", "kube-apiserver", addresses=(host, service_host), names=_SERVER_NAMES
        ),
        CertificateRequest("apiserver-logs", KUBELET_CLIENT_USER, _ADMINISTRATORS),
        CertificateRequest("admin", "admin", _ADMINISTRATORS),
        CertificateRequest(
            "controller-manager", "system:kube-controller-manager", addresses=(host,)
        ),
        CertificateRequest("scheduler", "system:kube-scheduler", addresses=(host,)),
        CertificateRequest("node", f"system:node:{node}", "system:nodes", (host,), (node,)),
    ]
