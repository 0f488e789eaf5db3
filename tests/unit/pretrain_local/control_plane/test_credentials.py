"""Credentials: the names and addresses in certificates, private keys, kubeconfigs."""

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from pretrain_local.control_plane.authority import (
    CertificateAuthority,
    ensure_service_account_key,
)
from pretrain_local.control_plane.certificate_requests import cluster_certificates
from pretrain_local.control_plane.kubeconfig import write_kubeconfig


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    requests = cluster_certificates("127.9.0.1", "10.96.0.1", "local")
    CertificateAuthority(tmp_path).issue(requests)
    ensure_service_account_key(tmp_path)
    return tmp_path


def _certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_nodes_certificate_has_the_user_and_group_of_a_kubelet(folder: Path) -> None:
    subject = _certificate(folder / "node.crt").subject
    (name,) = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    (group,) = subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert (name.value, group.value) == ("system:node:local", "system:nodes")


def test_the_api_servers_certificate_has_its_addresses_and_names(folder: Path) -> None:
    certificate = _certificate(folder / "apiserver.crt")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.9.0.1", "10.96.0.1"}
    assert "kubernetes.default.svc" in names.get_values_for_type(x509.DNSName)


def test_every_certificate_is_signed_by_the_authority(folder: Path) -> None:
    authority = _certificate(folder / "ca.crt")
    issued = [path for path in folder.glob("*.crt") if path.name != "ca.crt"]
    assert len(issued) >= 5
    for path in issued:
        _certificate(path).verify_directly_issued_by(authority)


def test_only_the_owner_can_read_the_keys(folder: Path) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.key")}
    assert modes == {0o600}


def test_a_second_start_keeps_the_authority_and_the_token_key(folder: Path) -> None:
    before = [(folder / name).read_bytes() for name in ("ca.crt", "ca.key", "sa.key")]
    CertificateAuthority(folder)
    ensure_service_account_key(folder)
    assert [(folder / name).read_bytes() for name in ("ca.crt", "ca.key", "sa.key")] == before


def test_a_kubeconfig_holds_all_it_needs(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, "https://127.9.0.1:6443", folder, "admin")
    text = path.read_text()
    assert "server: https://127.9.0.1:6443" in text
    assert str(folder) not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
