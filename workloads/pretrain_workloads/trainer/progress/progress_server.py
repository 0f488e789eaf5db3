"""`/progress` (JSON, for the operator) and `/metrics` (Prometheus) of rank 0."""

import logging
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from pretrain_api.v1alpha1.progress import Progress
from pretrain_workloads.trainer.progress.tracker import Tracker

log = logging.getLogger(__name__)

_METRICS = {
    "attempt": "Number of the attempt.",
    "step": "Optimizer steps done.",
    "total_steps": "Optimizer steps of the run.",
    "tokens": "Tokens consumed.",
    "loss": "Mean cross-entropy of the newest step, in nats.",
    "perplexity": "Newest perplexity on the held-out sequences.",
    "bits_per_byte": "The same loss, in bits a byte of text.",
    "learning_rate": "Learning rate of the newest step.",
    "gradient_norm": "Norm of the newest gradient, before clipping.",
    "tokens_per_second_per_gpu": "Speed of one device over the last steps.",
    "mfu": "Model FLOPs utilisation.",
    "eta_seconds": "Estimated time to the end.",
    "block": "Data block that is being read.",
    "expert_imbalance": "How unevenly tokens go to the experts; 1 is even.",
    "data_wait": "Share of the newest step's time in which rank 0 waited for data.",
    "epochs": "How often the sequences of all blocks were read.",
}


def serve(tracker: Tracker, address: str, port: int) -> ThreadingHTTPServer | None:
    """Serve from a thread of its own; return the server, or `None` if the port is not free."""
    handler = type("Handler", (_Handler,), {"tracker": tracker})
    try:
        server = ThreadingHTTPServer((address, port), handler)
    except OSError as error:
        log.warning("%s:%d: no progress is served: %s", address, port, error)
        return None
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="progress", daemon=True).start()
    return server


def metrics(progress: Progress) -> bytes:
    """Return `progress` in Prometheus's text format; unset fields are left out."""
    registry = CollectorRegistry()
    for field, meaning in _METRICS.items():
        value = getattr(progress, field)
        if value is not None:
            Gauge(f"pretrain_{field}", meaning, registry=registry).set(value)
    if progress.checkpoint is not None:
        step = Gauge(
            "pretrain_checkpoint_step", "Step of the newest checkpoint.", registry=registry
        )
        step.set(progress.checkpoint.step)
        at = Gauge(
            "pretrain_checkpoint_time_seconds",
            "When it was complete, Unix time.",
            registry=registry,
        )
        at.set(datetime.fromisoformat(progress.checkpoint.at).timestamp())
    rollbacks = Gauge("pretrain_rollbacks", "Rollbacks so far, at most 16.", registry=registry)
    rollbacks.set(len(progress.rollbacks))
    if progress.validation:
        of_sets = Gauge(
            "pretrain_validation_perplexity",
            "Newest perplexity on each validation set.",
            ["validation_set"],
            registry=registry,
        )
        for one in progress.validation:
            of_sets.labels(one.name).set(one.perplexity)
    return generate_latest(registry)


class _Handler(BaseHTTPRequestHandler):
    tracker: Tracker

    def do_GET(self) -> None:
        """Serve one of the two paths."""
        if self.path == "/progress":
            text = self.tracker.progress.model_dump_json(by_alias=True, exclude_none=True)
            self._send(200, "application/json", text.encode())
        elif self.path == "/metrics":
            self._send(200, CONTENT_TYPE_LATEST, metrics(self.tracker.progress))
        else:
            self._send(404, "text/plain", b"there are /progress and /metrics\n")

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing: the operator polls every few seconds."""
