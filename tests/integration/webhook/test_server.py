"""The webhook over real TLS: it answers, and takes a new certificate without a restart."""

import asyncio
import datetime
import ssl
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pretrain_operator.webhook.reviews import World
from pretrain_operator.webhook.server import Certificate, make_app

pytestmark = pytest.mark.integration

REVIEW = {
    "request": {
        "uid": "1",
        "kind": {"kind": "PretrainJob"},
        "operation": "CREATE",
        "object": {"metadata": {"name": "run"}, "spec": {}},
    }
}


def write_certificate(folder: Path, common_name: str) -> tuple[Path, Path]:
    """Write a self-signed certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=36500))
        .sign(key, hashes.SHA256())
    )
    files = folder / "tls.crt", folder / "tls.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def server_name(port: int) -> str:
    """Return the common name of the certificate that a new connection gets."""
    pem = ssl.get_server_certificate(("127.0.0.1", port))
    [name] = x509.load_pem_x509_certificate(pem.encode()).subject
    return str(name.value)


def test_reviews_are_answered_and_a_new_certificate_is_served(tmp_path: Path) -> None:
    asyncio.run(_serve_and_ask(tmp_path))


async def _serve_and_ask(folder: Path) -> None:
    certificate = Certificate(*write_certificate(folder, "first"))
    runner = web.AppRunner(make_app(World))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificate.context)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession() as session:
            url = f"https://127.0.0.1:{port}"
            async with session.post(f"{url}/validate", json=REVIEW, ssl=False) as answer:
                body = await answer.json()
            assert body["response"]["allowed"] is False
            assert "spec.training: is required" in body["response"]["status"]["message"]
            async with session.post(f"{url}/validate", data=b"junk", ssl=False) as answer:
                assert answer.status == 400
            async with session.get(f"{url}/healthz", ssl=False) as answer:
                assert answer.status == 200
        assert await asyncio.to_thread(server_name, port) == "first"
        assert not certificate.reload()
        write_certificate(folder, "second")
        assert certificate.reload()
        assert await asyncio.to_thread(server_name, port) == "second"
        (folder / "tls.key").write_text("half of a pair", encoding="utf-8")
        assert not certificate.reload()
        assert await asyncio.to_thread(server_name, port) == "second"
    finally:
        await runner.cleanup()
