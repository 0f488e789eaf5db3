"""What the operator costs: many runs at once, a restart among finished ones, runs under way.

A real API server, scheduler and Job controller; a node without containers. The token blocks are
made for real, once. CPU is that of the operator's process alone.
"""

import argparse
import os
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import psutil
from fast_node import FastNode
from kubernetes import client, config
from prometheus_client.parser import text_string_to_metric_families

from builders import run_spec
from cluster import RunningCluster, make_namespace, run_cluster, wait_until
from ports import free_port
from pretrain_api import paths
from pretrain_api.v1alpha1.progress import Progress
from pretrain_local.operator_process import OperatorProcess
from tenant import Tenant

GROUP = ("pretrain.dev", "v1alpha1")
STEPS = 100
_POLL_SECONDS, _PATIENCE_SECONDS = 0.5, 1800.0
_WRITES = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Usage:
    """What the operator has used so far."""

    cpu_seconds: float
    memory_mebibytes: float
    requests: Counter[str]

    def since(self, before: "Usage") -> "Usage":
        """Return what was used after `before`; the memory is that of now."""
        requests = self.requests - before.requests
        cpu = self.cpu_seconds - before.cpu_seconds
        return Usage(cpu, self.memory_mebibytes, requests)


class Bench:
    """A cluster with an operator, a tenant with token blocks, and a node without containers."""

    def __init__(self, cluster: RunningCluster, folder: Path) -> None:
        cluster.install_crds()
        self._port = free_port()
        os.environ |= {"PRETRAIN_PROBE_PORT": str(self._port), "POD_IP": "127.0.0.1"}
        self.operator = OperatorProcess(cluster.kubeconfig, folder / "operator")
        self.operator.start()
        (folder / "data").mkdir()
        self.tenant = Tenant(make_namespace(cluster), folder / "data")
        self.tenant.make_blocks()
        cluster.kubectl("cordon", "--selector=!fast")
        api = config.new_client_from_config(str(cluster.kubeconfig))
        self._objects = client.CustomObjectsApi(api)
        self.node = FastNode(cluster, client.CoreV1Api(api), STEPS)

    def post(self, prefix: str, count: int) -> None:
        """Create `count` runs of one pod, by eight clients at once."""
        model = {"layers": 2, "hiddenSize": 32, "ffnHiddenSize": 64, "attentionHeads": 2}
        sizes = {"sequenceLength": 32, "globalBatchSize": 4, "precision": "fp32"}
        spec = run_spec(
            parallelism={"nodes": 1, "gpusPerNode": 1},
            model=model,
            training={"tokens": STEPS * 4 * 32, **sizes},
            checkpoint={"uri": "file:///pretrain/data/checkpoints"},
        )
        spec["profileRef"] = {"name": self.tenant.profile}

        def create(number: int) -> None:
            body = {
                "apiVersion": "/".join(GROUP),
                "kind": "PretrainJob",
                "metadata": {"name": f"{prefix}-{number}"},
                "spec": spec,
            }
            self._objects.create_namespaced_custom_object(*self._place, body=body)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(create, range(count)))

    def phases(self, prefix: str) -> Counter[str]:
        """Return how many runs are in each phase."""
        found = self._objects.list_namespaced_custom_object(*self._place)["items"]
        return Counter(
            item.get("status", {}).get("phase", "")
            for item in found
            if item["metadata"]["name"].startswith(f"{prefix}-")
        )

    def wait_for(self, prefix: str, phase: str, count: int) -> float:
        """Wait until `count` runs are in `phase`; return the seconds that it took."""
        began = time.monotonic()
        while (phases := self.phases(prefix))[phase] < count:
            if time.monotonic() - began > _PATIENCE_SECONDS:
                raise TimeoutError(f"{phases} after {_PATIENCE_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)
        return time.monotonic() - began

    def usage(self) -> Usage:
        """Return what the operator's process has used."""
        process = psutil.Process(self.operator.pid)
        times = process.cpu_times()
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics") as response:
            text = response.read().decode()
        requests: Counter[str] = Counter()
        for family in text_string_to_metric_families(text):
            if family.name == "rest_client_requests":
                for sample in family.samples:
                    if sample.name.endswith("_total"):
                        requests[sample.labels["method"]] += int(sample.value)
        return Usage(times.user + times.system, process.memory_info().rss / 2**20, requests)

    @property
    def _place(self) -> tuple[str, str, str, str]:
        return (*GROUP, self.tenant.namespace.name, "pretrainjobs")


class _ProgressHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = Progress(step=5, attempt=1, total_steps=STEPS, phase="training").model_dump_json(
            by_alias=True
        )
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *arguments: Any) -> None:
        """Log nothing."""


def at_once(bench: Bench, count: int) -> None:
    """Post many runs and wait until all are complete."""
    before = bench.usage()
    bench.post("many", count)
    seconds = bench.wait_for("many", "Complete", count)
    used = bench.usage().since(before)
    writes = sum(used.requests[verb] for verb in _WRITES)
    print(
        f"{count} runs at once: complete after {seconds:.0f} s; a run costs "
        f"{1000 * used.cpu_seconds / count:.1f} ms of CPU, {writes / count:.1f} writes and "
        f"{used.requests['GET'] / count:.1f} reads; {used.memory_mebibytes:.0f} MiB"
    )


def restart(bench: Bench, count: int) -> None:
    """Restart the operator among finished runs, with a new one waiting."""
    bench.operator.stop()
    bench.post("late", 1)
    began = time.monotonic()
    bench.operator.start()
    wait_until(lambda: True if not bench.phases("late")[""] else None, "the new run", 300)
    served = time.monotonic() - began
    used = bench.usage()
    print(
        f"restart among {count} finished runs: a new one has a status after {served:.1f} s and "
        f"{used.cpu_seconds:.1f} s of CPU; {used.memory_mebibytes:.0f} MiB"
    )


def under_way(bench: Bench, count: int, seconds: float) -> None:
    """Let runs train for a while."""
    server = ThreadingHTTPServer(("127.0.0.1", paths.PROGRESS_PORT), _ProgressHandler)
    Thread(target=server.serve_forever, daemon=True).start()
    bench.node.seconds = None
    bench.post("long", count)
    bench.wait_for("long", "Running", count)
    settle(bench)
    before = bench.usage()
    time.sleep(seconds)  # what is measured is a stretch of time
    used = bench.usage().since(before)
    writes = sum(used.requests[verb] for verb in _WRITES)
    print(
        f"{count} runs under way: {100 * used.cpu_seconds / seconds:.1f} % of a core and "
        f"{writes / seconds:.1f} writes a second; {used.memory_mebibytes:.0f} MiB"
    )
    server.shutdown()


def settle(bench: Bench) -> None:
    """Wait until the operator is no longer busy with what has just started."""
    for _ in range(30):
        before = bench.usage()
        time.sleep(10)  # the stretch of time that is looked at
        if bench.usage().since(before).cpu_seconds < 2.0:
            return


def main() -> None:
    """Run all three measurements, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--under-way", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    with run_cluster() as cluster, TemporaryDirectory() as folder:
        bench = Bench(cluster, Path(folder))
        try:
            bench.node.start()
            at_once(bench, options.runs)
            restart(bench, options.runs)
            under_way(bench, options.under_way, options.seconds)
        finally:
            bench.node.stop()
            bench.operator.stop()


if __name__ == "__main__":
    main()
