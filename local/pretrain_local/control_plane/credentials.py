"""Writes the certificates and kubeconfigs of a cluster."""

from pretrain_local.control_plane import components, kubeconfig
from pretrain_local.control_plane.authority import (
    CertificateAuthority,
    ensure_service_account_key,
)
from pretrain_local.control_plane.certificate_requests import (
    FRONT_PROXY,
    FRONT_PROXY_AUTHORITY,
    cluster_certificates,
)
from pretrain_local.files import ClusterFiles
from pretrain_local.state import ClusterState


def write_credentials(files: ClusterFiles, state: ClusterState) -> None:
    """Issue certificates for the cluster's addresses; authorities and token keys are kept."""
    requests = cluster_certificates(state.block.host, components.SERVICE_HOST, state.node_name)
    CertificateAuthority(files.pki).issue(requests)
    CertificateAuthority(files.pki, FRONT_PROXY_AUTHORITY).issue([FRONT_PROXY])
    ensure_service_account_key(files.pki)
    for user in ("controller-manager", "scheduler"):
        path = files.component_kubeconfig(user)
        kubeconfig.write_kubeconfig(path, state.server, files.pki, user)
    kubeconfig.write_kubeconfig(files.kubeconfig, state.server, files.pki, "admin")
