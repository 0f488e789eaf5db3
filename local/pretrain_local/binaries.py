"""The programs of Kubernetes: found where its tools put them, else built once from Go modules."""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pretrain_local.errors import LocalError

KUBERNETES = "1.35"
"""Minor version that the control plane speaks; programs found elsewhere must be of it."""

_MODULES = Path(__file__).parent / "go"
_RELEASE = "v1.35.4"
_PLAIN = "-s -w"


def _stamp(package: str) -> str:
    return " ".join(
        f"-X {package}.{name}={value}"
        for name, value in {
            "gitVersion": _RELEASE,
            "gitMajor": "1",
            "gitMinor": "35",
            "gitTreeState": "clean",
            "gitCommit": "module",
            "buildDate": "1970-01-01T00:00:00Z",
        }.items()
    )


_STAMPED = " ".join(
    (_PLAIN, _stamp("k8s.io/component-base/version"), _stamp("k8s.io/client-go/pkg/version"))
)
"""Without these the programs call themselves `v0.0.0-master` and skew checks go wrong."""


@dataclass(frozen=True)
class Program:
    """A Go program and the committed module that pins it."""

    module: str
    """Folder of its `go.mod` and `go.sum`."""
    package: str
    seconds: int
    """What its build took on two cores, in this order, from cold caches."""
    flags: str = _PLAIN


PROGRAMS = {
    "kube-apiserver": Program("kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", 223, _STAMPED),
    "kube-controller-manager": Program(
        "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager", 59, _STAMPED
    ),
    "kube-scheduler": Program("kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler", 18, _STAMPED),
    "kubectl": Program("kubernetes", "k8s.io/kubernetes/cmd/kubectl", 32, _STAMPED),
    "etcd": Program("etcd", "go.etcd.io/etcd/server/v3", 28),
    "versitygw": Program("versitygw", "github.com/versity/versitygw/cmd/versitygw", 56),
}
CLUSTER = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "etcd")
"""What a cluster needs; the others are built when someone asks for them."""

Report = Callable[[str], None]


def find(name: str, report: Report = lambda line: None) -> Path:
    """Return the program `name`, built if it is nowhere.

    Raises:
        LocalError: If it must be built and cannot be.
    """
    return find_all((name,), report)[name]


def find_all(names: Sequence[str] = CLUSTER, report: Report = lambda line: None) -> dict[str, Path]:
    """Return each program of `names`; `report` gets a line for each that is built.

    Raises:
        LocalError: If one must be built and cannot be, or is of another version.
    """
    found = {name: _installed(name) for name in names}
    missing = [name for name, path in found.items() if path is None]
    for number, name in enumerate(missing, 1):
        found[name] = _build(name, f"[{number}/{len(missing)}] {name}", report)
    return {name: path for name, path in found.items() if path is not None}


def _installed(name: str) -> Path | None:
    folders = [assets] if (assets := _assets()) else _envtest_folders()
    for folder in (*folders, _cache(PROGRAMS[name])):
        path = folder / name
        if os.access(path, os.X_OK):
            return path
    return None


def _assets() -> Path | None:
    """Return `$KUBEBUILDER_ASSETS`, if set.

    Raises:
        LocalError: If it holds an API server of another version.
    """
    value = os.environ.get("KUBEBUILDER_ASSETS")
    if not value:
        return None
    server = Path(value) / "kube-apiserver"
    if os.access(server, os.X_OK):
        answer = subprocess.run([server, "--version"], capture_output=True, text=True, check=False)
        version = answer.stdout.split()[-1] if answer.stdout else "unknown"
        if not version.startswith(f"v{KUBERNETES}."):
            raise LocalError(
                f"KUBEBUILDER_ASSETS: {value} holds Kubernetes {version}, but the cluster runs "
                f"{KUBERNETES}; point it at {KUBERNETES} (`setup-envtest use {KUBERNETES}`), "
                "or unset it"
            )
    return Path(value)


def _envtest_folders() -> list[Path]:
    """Return where `setup-envtest` puts this version, newest patch release first."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    store = data / "kubebuilder-envtest" / "k8s"
    folders = store.glob(f"{KUBERNETES}.*-linux-{_architecture()}")
    return sorted(folders, key=lambda folder: int(folder.name.split(".")[2].split("-")[0]))[::-1]


def _architecture() -> str:
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def cache_folder() -> Path:
    """Return the user's folder for what is made once and can be made again."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "pretrain-operator"


def _cache(program: Program) -> Path:
    """Return the cache folder of a program: another module, flag or machine, another folder."""
    content = hashlib.sha256(f"{_STAMPED} {_architecture()}".encode())
    for file in ("go.mod", "go.sum"):
        content.update((_MODULES / program.module / file).read_bytes())
    return cache_folder() / "bin" / f"{program.module}-{content.hexdigest()[:12]}"


def _build(name: str, label: str, report: Report) -> Path:
    program = PROGRAMS[name]
    folder = _cache(program)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    with _building(folder, lambda: report(f"{label}: another process is building it")):
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
def _building(folder: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Let one process build at a time."""
    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run_go(program: Program, name: str, output: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise LocalError(
            f"{name} must be built and `go` is not on PATH; install Go 1.26 or newer, or set "
            f"KUBEBUILDER_ASSETS to a folder that holds Kubernetes {KUBERNETES}"
        )
    command = [
        go,
        "build",
        "-trimpath",
        "-ldflags",
        program.flags,
        "-o",
        str(output),
        program.package,
    ]
    done = subprocess.run(
        command,
        cwd=_MODULES / program.module,
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
    """Return what to do about a failed `go build` that wrote `output`."""
    tail = "\n".join(output.splitlines()[-6:])
    if "requires go >=" in output:
        advice = "Go is too old: install Go 1.26 or newer"
    elif any(word in output for word in _NETWORK):
        advice = "the Go modules cannot be fetched: check the network and `go env GOPROXY`"
    elif "no space left on device" in output:
        advice = "the disk is full: the module and build caches need about 3 GB"
    else:
        advice = "the build failed"
    return f"{name}: {advice}\n{tail}"


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
"""What Go says when a proxy or the network fails."""
