"""Builds programs from their Go modules, once, into the user's cache."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pretrain_local.errors import LocalError
from pretrain_local.files import cache_folder
from pretrain_local.programs import (
    KUBERNETES,
    KUBERNETES_FLAGS,
    PROGRAMS,
    Program,
    architecture,
)

MODULES = Path(__file__).parent / "go"

Report = Callable[[str], None]
"""Receives a line of progress."""

_NETWORK = (
    "dial tcp",
    "no such host",
    "i/o timeout",
    "connection refused",
    "TLS handshake",
    "module lookup disabled",
    "403 Forbidden",
    "407 Proxy",
    "502 Bad",
    "proxyconnect",
)
"""Texts in Go's output when a proxy or the network fails."""


def build_folder(program: Program) -> Path:
    """Return the cache folder of a program; module, flags and architecture are in its name."""
    content = hashlib.sha256(f"{KUBERNETES_FLAGS} {architecture()}".encode())
    for file in ("go.mod", "go.sum"):
        content.update((MODULES / program.module / file).read_bytes())
    return cache_folder() / "bin" / f"{program.module}-{content.hexdigest()[:12]}"


def build(name: str, label: str, report: Report) -> Path:
    """Return the program `name`, built unless another process has built it meanwhile.

    Raises:
        LocalError: If Go is missing or the build fails.
    """
    program = PROGRAMS[name]
    folder = build_folder(program)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    with _locked(folder, lambda: report(f"{label}: another process is building it")):
        if path.exists():
            return path
        report(f"{label}: building with Go, once; took {program.seconds} s on two cores")
        began = time.monotonic()
        temporary = folder / f".{name}.{os.getpid()}"
        try:
            _run_go(program, name, temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        report(f"{label}: built in {time.monotonic() - began:.0f} s")
    return path


@contextmanager
def _locked(folder: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Allow one build at a time; call `on_wait` if another process is building."""
    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run_go(program: Program, name: str, output: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise LocalError(
            f"{name} must be built and `go` is not on PATH; install Go 1.26 or newer, or set "
            f"KUBEBUILDER_ASSETS to a folder that holds Kubernetes {KUBERNETES}"
        )
    flags = ("-trimpath", "-ldflags", program.flags, "-o", str(output))
    done = subprocess.run(
        [go, "build", *flags, program.package],
        cwd=MODULES / program.module,
        env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-mod=readonly"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise LocalError(explain_failure(name, done.stdout))


def explain_failure(name: str, output: str) -> str:
    """Return the advice for a failed `go build` that wrote `output`."""
    tail = "\n".join(output.splitlines()[-6:])
    if "requires go >=" in output:
        advice = "Go is too old: install Go 1.26 or newer"
    elif any(text in output for text in _NETWORK):
        advice = "the Go modules cannot be fetched: check the network and `go env GOPROXY`"
    elif "no space left on device" in output:
        advice = "the disk is full: the module and build caches need about 3 GB"
    else:
        advice = "the build failed"
    return f"{name}: {advice}\n{tail}"
