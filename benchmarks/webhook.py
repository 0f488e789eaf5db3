"""Latency of the admission webhook at 50 requests a second, over TLS, in a process of its own."""

import asyncio
import multiprocessing
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from pretrain_local.control_plane.authority import CertificateAuthority
from pretrain_local.control_plane.certificate_requests import CertificateRequest
from pretrain_operator.observed.objects import ListedObjects, ObservedObject, parse_object
from pretrain_operator.webhook.certificates import Certificate
from pretrain_operator.webhook.planning import Planning, open_workers
from pretrain_operator.webhook.server import make_app

RATE, SECONDS = 50, 20
DEGREES = {"tensor": 4, "pipeline": 8, "sequence": True}


@dataclass(frozen=True)
class Load:
    """A sequence of reviews."""

    title: str
    parallelism: dict[str, Any]
    distinct: int
    """Different runs among the reviews; a repeated one gets a cached result."""


LOADS = (
    Load("degrees given, every run another", DEGREES, RATE * SECONDS),
    Load("degrees given, 8 runs in turn", DEGREES, 8),
    Load("degrees left out, 8 runs in turn", {}, 8),
    Load("degrees left out, every run another", {}, RATE * SECONDS),
)


def review(load: Load, number: int) -> dict[str, object]:
    """Return the review of a 70B run on 128 devices; each batch size needs another plan."""
    spec = {
        "model": {"preset": "llama3-70b"},
        "data": {"datasetRef": {"name": "blocks"}},
        "parallelism": {"nodes": 16, **load.parallelism},
        "training": {
            "tokens": "1T",
            "sequenceLength": 8192,
            "globalBatchSize": 128 * (1 + number % load.distinct),
        },
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


def objects() -> list[ObservedObject]:
    """Return the objects that the runs refer to."""
    output = {"uri": "s3://corpus"}
    specs: dict[tuple[str, str], dict[str, Any]] = {
        ("ComputeProfile", "h100"): {"accelerator": {"name": "h100", "perNode": 8}},
        ("TokenDataset", "blocks"): {
            "tokenizerRef": {"name": "tokens"},
            "mixture": [{"pipelineRef": {"name": "web"}}],
            "tokens": "1T",
            "sequenceLength": 8192,
            "output": output,
        },
        ("Tokenizer", "tokens"): {
            "corpus": {"pipelineRef": {"name": "web"}},
            "vocabularySize": 128_000,
            "output": output,
        },
    }
    return [
        parse_object(
            kind,
            {
                "metadata": {
                    "name": name,
                    "uid": name,
                    "namespace": "" if kind == "ComputeProfile" else "team",
                },
                "spec": spec,
            },
        )
        for (kind, name), spec in specs.items()
    ]


def serve(pipe: Connection) -> None:
    """Run the server as its entry point does, and send its port through `pipe`."""
    asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        CertificateAuthority(folder).issue(
            [CertificateRequest("tls", "webhook", addresses=("127.0.0.1",))]
        )
        certificate = Certificate(folder / "tls.crt", folder / "tls.key")
    reader = ListedObjects(objects())
    planning = Planning(open_workers, max_pending=32, timeout_seconds=5.0)
    runner = web.AppRunner(make_app(lambda: reader, planning), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificate.context).start()
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    pipe.send(runner.addresses[0][1])
    await terminated.wait()
    await runner.cleanup()
    planning.close()


@dataclass(frozen=True)
class Latencies:
    """The latencies of one load."""

    reviews: Sequence[float]
    """Milliseconds of each."""
    probes: Sequence[float]
    """Milliseconds of each liveness probe during the load."""
    unplanned: int
    """Responses without a plan: too many at the same time, or a timeout."""


async def run_load(port: int, load: Load) -> Latencies:
    """Send the reviews at a fixed rate, whether earlier ones were answered or not."""
    url, unplanned = f"https://127.0.0.1:{port}", 0
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:

        async def send(number: int) -> float:
            nonlocal unplanned
            start = time.perf_counter()
            async with session.post(f"{url}/validate", json=review(load, number)) as response:
                result = (await response.json())["response"]
            milliseconds = 1000 * (time.perf_counter() - start)
            unplanned += any("not checked here" in line for line in result.get("warnings", ()))
            return milliseconds

        async def probe(_: int) -> float:
            start = time.perf_counter()
            async with session.get(f"{url}/livez") as response:
                await response.read()
            return 1000 * (time.perf_counter() - start)

        reviews, probes = await asyncio.gather(
            _at_rate(send, RATE, SECONDS), _at_rate(probe, 5, SECONDS)
        )
    return Latencies(reviews, probes, unplanned)


async def _at_rate(request: Callable[[int], Any], rate: int, seconds: int) -> list[float]:
    start, tasks = time.perf_counter(), []
    for number in range(rate * seconds):
        await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(request(number)))
    return list(await asyncio.gather(*tasks))


def measure(load: Load) -> Latencies:
    """Return the latencies of a load on a server that has just started and compiled the rules."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    server.start()
    try:
        return asyncio.run(_measure(ours.recv(), load))
    finally:
        server.terminate()
        server.join()


async def _measure(port: int, load: Load) -> Latencies:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
        first = Load("", {"tensor": 8}, 64)

        async def warm_up(number: int) -> None:
            url = f"https://127.0.0.1:{port}/validate"
            async with session.post(url, json=review(first, number)) as response:
                await response.read()

        await asyncio.gather(*(warm_up(number) for number in range(16)))
    return await run_load(port, load)


def main() -> None:
    """Print the percentiles of each load."""
    print(f"{RATE * SECONDS} requests at {RATE}/s; milliseconds, median and p99")
    print(f"{'':38}{'reviews':>16}{'/livez':>16}  without a plan")
    for load in LOADS:
        latencies = measure(load)
        samples = (latencies.reviews, latencies.probes)
        columns = "".join(f"{_percentiles(values):>16}" for values in samples)
        print(f"{load.title:38}{columns}{latencies.unplanned:>16}")


def _percentiles(values: Sequence[float]) -> str:
    p99 = sorted(values)[int(0.99 * len(values))]
    return f"{statistics.median(values):.1f} {p99:.1f}"


if __name__ == "__main__":
    main()
