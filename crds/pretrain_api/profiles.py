"""Known devices: default values for a ComputeProfile that only names its accelerator.

Rates are dense ones from the makers' data sheets; fields of a profile override them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec

_GIB = 2**30


@dataclass(frozen=True)
class Device:
    """One accelerator and its links."""

    name: str
    """Name in `spec.accelerator.name`."""

    family: str
    """Architecture; the planner's efficiencies are per family."""

    memory: int
    """Bytes."""

    bf16_teraflops: float
    """Dense bf16 matrix products, 10¹² operations a second."""

    fp8_teraflops: float
    """Dense fp8 matrix products; the bf16 rate where the device has none."""

    memory_gigabytes_per_second: float
    """Bandwidth of its memory, 10⁹ bytes a second."""

    per_node: int
    """Devices of a usual node."""

    domain_size: int
    """Devices that share the fast links."""

    domain_gigabytes_per_second: float
    """Bandwidth within the domain, one way."""

    gigabytes_per_second: float
    """Bandwidth of one device to other domains, one way."""

    resource: str | None = "nvidia.com/gpu"
    """Extended resource of Kubernetes."""

    source: str = "NVIDIA data sheet"
    """Where the figures are from."""


DEVICES: Mapping[str, Device] = {
    device.name: device
    for device in (
        Device("a100-40gb", "ampere", 40 * _GIB, 312, 312, 1555, 8, 8, 300, 25),
        Device("a100-80gb", "ampere", 80 * _GIB, 312, 312, 2039, 8, 8, 300, 25),
        Device("h100", "hopper", 80 * _GIB, 989.4, 1979, 3350, 8, 8, 450, 50),
        Device("h200", "hopper", 141 * 10**9, 989.4, 1979, 4800, 8, 8, 450, 50),
        Device("b200", "blackwell", 180 * _GIB, 2250, 4500, 8000, 8, 8, 900, 50),
        Device("gb200", "blackwell", 186 * 10**9, 2450, 4900, 8000, 4, 72, 900, 50),
        Device("l40s", "ada", 48 * _GIB, 362, 733, 864, 8, 1, 25, 25),
        Device("rtx4090", "ada", 24 * _GIB, 165.2, 330.3, 1008, 8, 1, 20, 12),
        Device(
            "910b",
            "ascend",
            64 * _GIB,
            376,
            376,
            1600,
            8,
            8,
            196,
            25,
            "huawei.com/Ascend910",
            "Huawei, Atlas 800T A2 product page and press figures; not measured here",
        ),
        Device(
            "cpu",
            "cpu",
            0,
            0.05,
            0.05,
            10,
            1,
            1,
            2,
            1,
            None,
            "order of magnitude for one core of a server; for plans, not for promises",
        ),
    )
}
"""By name."""

_ALIASES = {
    "a100": "a100-80gb",
    "a10080gb": "a100-80gb",
    "a10040gb": "a100-40gb",
    "a100sxm480gb": "a100-80gb",
    "h100sxm": "h100",
    "h10080gb": "h100",
    "h100sxm80gb": "h100",
    "h200141gb": "h200",
    "b200180gb": "b200",
    "gb200nvl72": "gb200",
    "geforcertx4090": "rtx4090",
    "4090": "rtx4090",
    "ascend910b": "910b",
}

_FAMILIES = ("gb200", "b200", "h200", "h100", "l40s", "910b")
"""Names that may be followed by form factor and memory."""


def find_device(name: str) -> Device | None:
    """Return the known device of that name in any common spelling, or nothing."""
    bare = "".join(c for c in name.lower() if c.isalnum()).removeprefix("nvidia")
    for known in DEVICES.values():
        if bare == known.name.replace("-", ""):
            return known
    if bare in _ALIASES:
        return DEVICES[_ALIASES[bare]]
    bare = bare.removeprefix("dgx").removeprefix("hgx")
    if bare.startswith("a100"):
        return DEVICES["a100-40gb" if "40gb" in bare else "a100-80gb"]
    return next((DEVICES[name] for name in _FAMILIES if bare.startswith(name)), None)


def device_of(profile: ComputeProfileSpec) -> Device | None:
    """Return the device of a profile: the known one of its name, with the profile's own values.

    Returns nothing where the speed of the device is unknown: then no time can be predicted.
    """
    accelerator, network = profile.accelerator, profile.network
    known = find_device(accelerator.name)
    peak = accelerator.peak_teraflops or (known.bf16_teraflops if known else None)
    if peak is None:
        return None
    base = known or DEVICES["a100-80gb"]
    return Device(
        name=accelerator.name,
        family=known.family if known else "unknown",
        memory=accelerator.memory or (known.memory if known else 0),
        bf16_teraflops=peak,
        fp8_teraflops=peak * base.fp8_teraflops / base.bf16_teraflops,
        memory_gigabytes_per_second=accelerator.memory_gigabytes_per_second
        or base.memory_gigabytes_per_second,
        per_node=accelerator.per_node,
        domain_size=network.domain_size
        or (max(base.domain_size, 1) if known else accelerator.per_node),
        domain_gigabytes_per_second=network.domain_gigabytes_per_second
        or base.domain_gigabytes_per_second,
        gigabytes_per_second=network.gigabytes_per_second or base.gigabytes_per_second,
        resource=accelerator.resource,
        source=base.source if known else "the profile",
    )


def memory_of(profile: ComputeProfileSpec) -> int | None:
    """Return the bytes of one device's memory, or nothing where they are unknown."""
    if profile.accelerator.memory is not None:
        return profile.accelerator.memory
    known = find_device(profile.accelerator.name)
    return known.memory if known is not None and known.memory else None
