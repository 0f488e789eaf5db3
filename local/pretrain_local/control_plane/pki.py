"""The cluster's certificates: one authority, elliptic curves, valid for a year."""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pretrain_local.atomic_files import write_atomically
from pretrain_local.state import LOGS_READER

_VALID = datetime.timedelta(days=365)
_SKEW = datetime.timedelta(minutes=5)

NODE_USER = "system:node:{name}"


@dataclass(frozen=True)
class Identity:
    """Whom a certificate stands for."""

    file: str
    """Name of the files, without suffix."""
    common_name: str
    organization: str | None = None
    """A group of users, for Kubernetes."""
    addresses: tuple[str, ...] = ()
    """IP addresses it serves on."""
    names: tuple[str, ...] = ()
    """DNS names it serves as."""


def identities(host: str, service_host: str, node: str) -> list[Identity]:
    """Return whom the cluster on address `host` needs certificates for."""
    masters = "system:masters"
    kubernetes = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
    return [
        Identity("etcd", "etcd", addresses=(host, "127.0.0.1")),
        Identity("apiserver", "kube-apiserver", None, (host, service_host), kubernetes),
        Identity("apiserver-logs", LOGS_READER, masters),
        Identity("admin", "admin", masters),
        Identity("controller-manager", "system:kube-controller-manager", None, (host,)),
        Identity("scheduler", "system:kube-scheduler", None, (host,)),
        Identity("node", NODE_USER.format(name=node), "system:nodes", (host,), (node,)),
    ]


FRONT_PROXY_AUTHORITY = "front-proxy-ca"
"""An authority of its own: who it vouches for may speak for any user."""
FRONT_PROXY = Identity("front-proxy", "front-proxy-client")
"""The API server, when it passes a user's request on to another API server."""


class Authority:
    """A certificate authority whose files lie in `folder` and begin with its name."""

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

    def issue(self, wanted: Sequence[Identity]) -> None:
        """Write `<file>.crt` and `<file>.key` for each identity, in place of older ones."""
        for identity in wanted:
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = self._sign(identity, key.public_key())
            write_atomically(self._folder / f"{identity.file}.key", _pem_key(key))
            write_atomically(self._folder / f"{identity.file}.crt", _pem(certificate))

    def _sign(self, identity: Identity, key: ec.EllipticCurvePublicKey) -> x509.Certificate:
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, identity.common_name)]
        if identity.organization:
            subject.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, identity.organization))
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
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in identity.names]
        alternatives += [x509.IPAddress(ipaddress.ip_address(a)) for a in identity.addresses]
        if alternatives:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(alternatives), critical=False
            )
        return builder.sign(self._key, hashes.SHA256())


def ensure_service_account_key(folder: Path) -> None:
    """Write `sa.key` and `sa.pub`, which sign and check service accounts' tokens, if absent."""
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
