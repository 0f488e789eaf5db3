"""Settings of the operator, read from environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

ProgressVia = Literal["pod", "apiserver"]

_VIA = "PRETRAIN_PROGRESS_VIA"
_NAMESPACE = "PRETRAIN_NAMESPACE"
_WORKERS = "PRETRAIN_WORKERS"
_RESYNC = "PRETRAIN_RESYNC_SECONDS"
_PROBES = "PRETRAIN_PROBE_PORT"
_LEASE = "PRETRAIN_LEASE"
_IDENTITY = "POD_NAME"
_ADDRESS = "POD_IP"


@dataclass(frozen=True)
class Settings:
    """Settings of one operator process."""

    namespace: str | None = None
    """The only namespace whose objects are reconciled, as in `kopf run -n`. `None` means all."""
    progress_via: ProgressVia = "pod"
    """How `/progress` is reached: the pod's address, or the API server's proxy for an operator
    outside the cluster's network."""
    workers: int = 32
    """Objects that are reconciled at the same time."""
    resync_seconds: float = 300.0
    """Seconds between two resyncs: complete lists, which find changes that a watch has missed."""
    lease: str | None = None
    """Namespace and name of the Lease of all operators: `namespace/name`. `None` means that this
    one is alone."""
    identity: str = ""
    """Name of this process in the Lease: that of its pod. Empty means that it has none."""
    probe_port: int | None = None
    """Port of `/healthz`, `/readyz` and `/metrics`. `None` means that they are not served."""
    probe_address: str | None = None
    """Their address: that of the pod. `None` means all addresses."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings in `environment`.

    Raises:
        ValueError: If the value of a variable is invalid.
    """
    via = environment.get(_VIA, "pod")
    if via not in ("pod", "apiserver"):
        raise ValueError(f"{_VIA}: {via!r} is neither pod nor apiserver")
    return Settings(
        namespace=environment.get(_NAMESPACE) or None,
        progress_via=cast(ProgressVia, via),
        workers=int(_number(environment, _WORKERS, 32)),
        resync_seconds=_number(environment, _RESYNC, 300),
        lease=_lease(environment),
        identity=environment.get(_IDENTITY, ""),
        probe_address=environment.get(_ADDRESS) or None,
        probe_port=int(_number(environment, _PROBES, 0)) if environment.get(_PROBES) else None,
    )


def _lease(environment: Mapping[str, str]) -> str | None:
    text = environment.get(_LEASE)
    if text and text.count("/") != 1:
        raise ValueError(f"{_LEASE}: {text!r} is not namespace/name")
    return text or None


def _number(environment: Mapping[str, str], name: str, default: int) -> float:
    text = environment.get(name, str(default))
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ValueError(f"{name}: {text!r} is not a whole number of at least 1")
    return float(text)
