"""The webhook over real TLS: responses, readiness, and the reload of its certificate."""

import asyncio
import multiprocessing
import ssl
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509

from builders import parsed_run, profile_spec
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_local.control_plane.authority import CertificateAuthority
from pretrain_local.control_plane.certificate_requests import CertificateRequest
from pretrain_operator.admission.related_objects import RelatedObjects
from pretrain_operator.admission.runs import AdmissionRequest, admit
from pretrain_operator.observed.objects import ListedObjects
from pretrain_operator.webhook.certificates import Certificate
from pretrain_operator.webhook.planning import Planning, open_workers
from pretrain_operator.webhook.server import make_app

pytestmark = pytest.mark.integration

REVIEW = {
    "request": {
        "uid": "1",
        "kind": {"kind": "PretrainJob"},
        "operation": "CREATE",
        "object": {"metadata": {"name": "run"}, "spec": {}},
    }
}
BODIES = {
    b"junk": "no JSON",
    b"[" * 100_000: "no JSON",
    b"\xff": "no JSON",
    b"1" * 5000: "no JSON",
    b"[]": "no AdmissionReview",
}


def write_certificate(folder: Path, common_name: str) -> tuple[Path, Path]:
    """Write a certificate and its key."""
    CertificateAuthority(folder).issue(
        [CertificateRequest("tls", common_name, addresses=("127.0.0.1",))]
    )
    return folder / "tls.crt", folder / "tls.key"


def server_name(port: int) -> str:
    """Return the common name of the certificate that a new connection gets."""
    pem = ssl.get_server_certificate(("127.0.0.1", port))
    [name] = x509.load_pem_x509_certificate(pem.encode()).subject
    return str(name.value)


@asynccontextmanager
async def served(
    certificate: Certificate, cache: Sequence[ListedObjects]
) -> AsyncIterator[tuple[int, aiohttp.ClientSession]]:
    """Serve with the objects in `cache`, once there are any; give the port and a client session."""
    with ThreadPoolExecutor(1) as threads:
        planning = Planning(lambda: threads, max_pending=1, timeout_seconds=60.0)
        app = make_app(lambda: cache[0] if cache else None, planning)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificate.context).start()
        port = runner.addresses[0][1]
        try:
            connector = aiohttp.TCPConnector(ssl=False)
            async with aiohttp.ClientSession(
                f"https://127.0.0.1:{port}", connector=connector
            ) as session:
                yield port, session
        finally:
            await runner.cleanup()


def test_reviews_are_answered_and_a_new_certificate_is_served(tmp_path: Path) -> None:
    asyncio.run(_post_reviews(tmp_path))


async def _post_reviews(folder: Path) -> None:
    certificate = Certificate(*write_certificate(folder, "first"))
    async with served(certificate, [ListedObjects()]) as (port, session):
        async with session.post("/validate", json=REVIEW) as response:
            body = await response.json()
        assert body["response"]["allowed"] is False
        assert "spec.training: is required" in body["response"]["status"]["message"]
        for junk, message in BODIES.items():
            async with session.post("/validate", data=junk) as response:
                assert (response.status, message in await response.text()) == (400, True)
        assert await asyncio.to_thread(server_name, port) == "first"
        assert not certificate.reload()
        write_certificate(folder, "second")
        assert certificate.reload()
        assert await asyncio.to_thread(server_name, port) == "second"
        (folder / "tls.key").write_text("half of a pair", encoding="utf-8")
        assert not certificate.reload()
        assert await asyncio.to_thread(server_name, port) == "second"


def test_it_is_alive_but_not_ready_before_it_has_read_the_cluster(tmp_path: Path) -> None:
    asyncio.run(_read_later(tmp_path))


async def _read_later(folder: Path) -> None:
    cache: list[ListedObjects] = []
    async with served(Certificate(*write_certificate(folder, "x")), cache) as (_, session):

        async def status(path: str) -> int:
            async with session.get(path) as response:
                return response.status

        assert [await status("/livez"), await status("/healthz")] == [200, 503]
        async with session.post("/validate", json=REVIEW) as response:
            assert response.status == 503
            assert "have not been read yet" in await response.text()
        cache.append(ListedObjects())
        assert await status("/healthz") == 200


def test_workers_that_were_killed_are_replaced() -> None:
    asyncio.run(_kill_workers())


async def _kill_workers() -> None:
    related = RelatedObjects(profile=ComputeProfileSpec.model_validate(profile_spec()))
    run = AdmissionRequest("run", parsed_run(), related)
    want = admit(run)
    planning = Planning(open_workers, max_pending=1, timeout_seconds=60.0)
    try:
        assert await planning.admit(run) == want
        for worker in multiprocessing.active_children():
            worker.kill()
        other = replace(run, name="other")  # the result of the first is cached
        broken = await planning.admit(other)
        assert "the process that planned it has ended" in broken.missing[-1]
        assert broken.errors == want.errors
        assert await planning.admit(other) == want
    finally:
        planning.close()
