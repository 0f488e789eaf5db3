"""What a device reaches in practice: its data sheet times the fitted efficiencies."""

from dataclasses import dataclass

from pretrain_api.profiles import Device
from pretrain_operator.planner.estimates.constants import COMMON, FAMILIES, FamilyConstants


@dataclass(frozen=True)
class Speeds:
    """Rates of one device, in FLOP/s and bytes a second, and fixed times in seconds."""

    peak: float
    """bf16, by the data sheet: what utilisation is measured against."""
    matrix: float
    """bf16 matrix products, large ones."""
    matrix_fp8: float
    attention: float
    """Attention, bf16, today's kernels."""
    early_attention: float
    """The same with kernels of 2021 to 2023."""
    fp32: float
    """fp32 matrix products."""
    memory: float
    domain: float
    """Collectives within the domain of fast links (NVLink)."""
    network: float
    """Collectives between domains, of one device."""
    domain_size: int
    kernel_seconds: float
    """Least time of a matrix product beyond its arithmetic."""
    collective_seconds: float
    """Least time of a collective."""
    step_seconds: float
    """Fixed time of an optimizer step."""

    def matrix_rate(self, precision: str) -> float:
        """Return the rate of matrix products at a precision."""
        if precision == "fp8":
            return self.matrix_fp8
        return self.fp32 if precision == "fp32" else self.matrix

    def link_rate(self, devices: int) -> float:
        """Return the rate of a collective over `devices` neighbouring devices."""
        return self.domain if devices <= self.domain_size else self.network

    def product_seconds(self, rows: float, inner: float, columns: float, precision: str) -> float:
        """Return the time of a matrix product: arithmetic or memory, whichever is slower."""
        width = 4 if precision == "fp32" else 2
        traffic = width * (rows * inner + inner * columns + rows * columns)
        if precision == "fp8":
            traffic += 3 * (rows * inner + inner * columns)
        arithmetic = 2 * rows * inner * columns / self.matrix_rate(precision)
        return max(arithmetic, traffic / self.memory) + self.kernel_seconds


def speeds_of(device: Device) -> Speeds:
    """Return the speeds of a device; an unknown family has the efficiencies of the oldest one."""
    family: FamilyConstants = FAMILIES.get(device.family) or FAMILIES["ampere"]
    bf16 = device.bf16_teraflops * 1e12
    return Speeds(
        peak=bf16,
        matrix=bf16 * family.matrix,
        matrix_fp8=device.fp8_teraflops * 1e12 * family.matrix_fp8,
        attention=bf16 * family.attention,
        early_attention=bf16 * COMMON.early_attention,
        fp32=bf16 * family.fp32,
        memory=device.memory_gigabytes_per_second * 1e9 * COMMON.memory,
        domain=device.domain_gigabytes_per_second * 1e9 * COMMON.domain,
        network=device.gigabytes_per_second * 1e9 * COMMON.network,
        domain_size=device.domain_size,
        kernel_seconds=family.kernel_seconds,
        collective_seconds=COMMON.collective_seconds,
        step_seconds=COMMON.step_seconds,
    )
