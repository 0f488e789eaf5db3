"""The certificate authority of a cluster: elliptic-curve keys, certificates valid for a year."""

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pretrain_local.atomic_files import write_atomically
from pretrain_local.control_plane.certificate_requests import CertificateRequest

_VALID = datetime.timedelta(days=365)
_SKEW = datetime.timedelta(minutes=5)


class CertificateAuthority:
    """A certificate authority; `<name>.key` and `<name>.crt` in `folder` are made if absent."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key_file, certificate_file = folder / f"{name}.key", folder / f"{name}.crt"
        if not (key_file.exists() and certificate_file.exists()):
            key, certificate = _make_authority(f"pretrain-local-{name}")
            write_atomically(certificate_file, _pem(certificate))
            write_atomically(key_file, _pem_key(key))
        loaded = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{key_file} holds no elliptic-curve key")
        self._key = loaded
        self._certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())

    def issue(self, requests: Sequence[CertificateRequest]) -> None:
        """Write `<file>.crt` and `<file>.key` for each request; replace older ones."""
        for request in requests:
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = self._sign(request, key.public_key())
            write_atomically(self._folder / f"{request.file}.key", _pem_key(key))
            write_atomically(self._folder / f"{request.file}.crt", _pem(certificate))

    def _sign(
        self, request: CertificateRequest, key: ec.EllipticCurvePublicKey
    ) -> x509.Certificate:
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, request.common_name)]
        if request.organization:
            subject.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, request.organization))
        builder = (
            _builder(x509.Name(subject), self._certificate.subject, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
                ),
                critical=False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in request.names]
        alternatives += [x509.IPAddress(ipaddress.ip_address(a)) for a in request.addresses]
        if alternatives:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(alternatives), critical=False
            )
        return builder.sign(self._key, hashes.SHA256())


def ensure_service_account_key(folder: Path) -> None:
    """Write the key pair for service-account tokens, `sa.key` and `sa.pub`, if absent."""
    if (folder / "sa.key").exists() and (folder / "sa.pub").exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write_atomically(folder / "sa.pub", public)
    write_atomically(folder / "sa.key", _pem_key(key))


def _make_authority(name: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        _builder(subject, subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _VALID)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
