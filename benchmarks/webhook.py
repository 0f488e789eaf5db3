"""Latency of the admission webhook at 50 requests a second, over TLS, in a process of its own."""

import asyncio
import datetime
import multiprocessing
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pretrain_operator.webhook.reviews import World
from pretrain_operator.webhook.server import Certificate, make_app

RATE, SECONDS = 50, 20
SIZES = (128, 256, 384, 512, 640, 768, 896, 1024)
"""Batches of the jobs that are asked about in turn: each is another plan."""
PROFILE = {"spec": {"accelerator": {"name": "h100", "perNode": 8}}}


def review(batch: int) -> dict[str, object]:
    """Return a question about a job."""
    spec = {
        "model": {"preset": "llama3-70b"},
        "data": {"datasetRef": {"name": "blocks"}},
        "parallelism": {"nodes": 16, "tensor": 4, "pipeline": 8, "sequence": True},
        "training": {"tokens": "1T", "sequenceLength": 8192, "globalBatchSize": batch},
        "checkpoint": {"uri": "s3://checkpoints/run"},
    }
    return {
        "request": {
            "uid": "1",
            "kind": {"kind": "PretrainJob"},
            "operation": "CREATE",
            "namespace": "team",
            "object": {"metadata": {"name": "run"}, "spec": spec},
        }
    }


def serve(pipe: Connection) -> None:
    """Run the server and tell its port."""
    asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    with tempfile.TemporaryDirectory() as folder:
        certificate = Certificate(*_certificate(Path(folder)))
    runner = web.AppRunner(make_app(lambda: World({"h100": PROFILE})), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificate.context).start()
    pipe.send(runner.addresses[0][1])
    await asyncio.Event().wait()


async def ask(port: int) -> list[float]:
    """Return the latencies, in milliseconds; requests start on time, however long others take."""
    url = f"https://127.0.0.1:{port}/validate"
    async with aiohttp.ClientSession() as session:

        async def one(number: int) -> float:
            start = time.perf_counter()
            body = review(SIZES[number % len(SIZES)])
            async with session.post(url, json=body, ssl=False) as answer:
                await answer.read()
            return 1000 * (time.perf_counter() - start)

        await one(0)  # compiles the rules
        tasks = []
        start = time.perf_counter()
        for number in range(RATE * SECONDS):
            await asyncio.sleep(max(0.0, start + number / RATE - time.perf_counter()))
            tasks.append(asyncio.create_task(one(number)))
        return list(await asyncio.gather(*tasks))


def main() -> None:
    """Print the percentiles."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    server.start()
    try:
        latencies = sorted(asyncio.run(ask(ours.recv())))
    finally:
        server.terminate()
        server.join()
    p50, p99 = statistics.median(latencies), latencies[int(0.99 * len(latencies))]
    print(f"{len(latencies)} requests at {RATE}/s: median {p50:.1f} ms, p99 {p99:.1f} ms")


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "webhook")])
    start = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    files = folder / "tls.crt", folder / "tls.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    files[1].write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    return files


if __name__ == "__main__":
    main()
