"""The fitted constants, read once from `constants.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

_TABLES = tomllib.loads(files(__package__).joinpath("constants.toml").read_text("utf-8"))


@dataclass(frozen=True)
class MemoryConstants:
    """Constants of the memory formulas."""

    margin: float
    base_bytes: float
    logit_values: float
    upstream_logit_bytes: float
    dispatch_bytes: float
    plain_softmax_bytes: float


@dataclass(frozen=True)
class CommonConstants:
    """Constants of the time formulas that hold for all devices; fractions unless named."""

    memory: float
    """Of the memory's bandwidth."""
    domain: float
    """Of the fast links' bandwidth, in collectives."""
    network: float
    """Of the network's bandwidth, in collectives."""
    overlapped: float
    """Of a collective, hidden behind computation."""
    exposed_exchange: float
    """Of the exchange between pipeline stages, not hidden."""
    early_attention: float
    """Of the bf16 peak, in attention kernels of 2021 to 2023."""
    elementwise: float
    """Memory traffic of norms, residuals and activations, relative to one fused pass."""
    collective_seconds: float
    step_seconds: float
    spread: float
    """Half width of the interval around a predicted time."""


@dataclass(frozen=True)
class AdmissionConstants:
    """How much of a device's memory a plan may use."""

    context_bytes: float
    usable: float
    usable_fragmented: float


@dataclass(frozen=True)
class FamilyConstants:
    """Fractions of the data sheet's rates that one architecture reaches."""

    matrix: float
    matrix_fp8: float
    attention: float
    fp32: float
    """fp32 matrix products, as a fraction of the bf16 peak."""
    kernel_seconds: float


MEMORY = MemoryConstants(**_TABLES["memory"])
COMMON = CommonConstants(**_TABLES["time"]["common"])
ADMISSION = AdmissionConstants(**_TABLES["admission"])
FAMILIES: Mapping[str, FamilyConstants] = {
    name: FamilyConstants(**table) for name, table in _TABLES["time"]["family"].items()
}
