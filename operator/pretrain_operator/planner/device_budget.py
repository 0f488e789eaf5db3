"""The devices that a run has: how many, how much memory each may use, how fast they are."""

from dataclasses import dataclass

from pretrain_operator.planner.estimates.speeds import Speeds


@dataclass(frozen=True, kw_only=True)
class DeviceBudget:
    """What a layout has to fit into."""

    world_size: int
    """Devices."""
    devices_per_node: int
    memory_bytes: float | None
    """Largest admitted peak of a device. `None` means unknown: every layout fits."""
    speeds: Speeds | None
    """`None` means unknown: layouts are ranked by their simplicity."""
