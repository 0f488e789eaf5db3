"""The programs that a cluster runs: their versions, Go packages and build flags."""

import platform
from dataclasses import dataclass

KUBERNETES = "1.35"
"""Minor version of the control plane; installed programs must have the same one."""
RELEASE = "v1.35.4"
"""Version that is built when no program is installed."""

_STRIPPED = "-s -w"


def _version_flags(package: str) -> str:
    return " ".join(
        f"-X {package}.{name}={value}"
        for name, value in {
            "gitVersion": RELEASE,
            "gitMajor": "1",
            "gitMinor": "35",
            "gitTreeState": "clean",
            "gitCommit": "module",
            "buildDate": "1970-01-01T00:00:00Z",
        }.items()
    )


KUBERNETES_FLAGS = " ".join(
    (
        _STRIPPED,
        _version_flags("k8s.io/component-base/version"),
        _version_flags("k8s.io/client-go/pkg/version"),
    )
)
"""Without these flags the programs report the version `v0.0.0-master`, which breaks checks of
the version skew."""


@dataclass(frozen=True)
class Program:
    """A Go program and the committed module that pins its version."""

    module: str
    """Folder of its `go.mod` and `go.sum`."""
    package: str
    seconds: int
    """Build time on two cores with cold caches, when built in the order of `PROGRAMS`."""
    flags: str = _STRIPPED


def _kubernetes(name: str, seconds: int) -> Program:
    return Program("kubernetes", f"k8s.io/kubernetes/cmd/{name}", seconds, KUBERNETES_FLAGS)


PROGRAMS = {
    "kube-apiserver": _kubernetes("kube-apiserver", 223),
    "kube-controller-manager": _kubernetes("kube-controller-manager", 59),
    "kube-scheduler": _kubernetes("kube-scheduler", 18),
    "kubectl": _kubernetes("kubectl", 32),
    "etcd": Program("etcd", "go.etcd.io/etcd/server/v3", 28),
    "versitygw": Program("versitygw", "github.com/versity/versitygw/cmd/versitygw", 56),
    "helm": Program("helm", "helm.sh/helm/v3/cmd/helm", 91),
    "source-controller": Program("source-controller", "github.com/fluxcd/source-controller", 185),
    "kueue": Program("kueue", "sigs.k8s.io/kueue/cmd/kueue", 124),
    "kustomize-controller": Program(
        "kustomize-controller", "github.com/fluxcd/kustomize-controller", 60
    ),
}
CLUSTER = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "etcd")
"""What a cluster needs; other programs are built on request."""
TESTS = (*CLUSTER, "versitygw", "helm")
"""What `make test` needs."""


def architecture() -> str:
    """Return this machine's architecture under the name that Go and Kubernetes use."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
