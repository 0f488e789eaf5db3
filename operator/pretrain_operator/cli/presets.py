"""ComputeProfiles of the known devices, to start from."""

from typing import Any

from pretrain_api.meta import API_VERSION
from pretrain_api.profiles import DEVICES, Device


def profile_manifests() -> list[dict[str, Any]]:
    """Return one ComputeProfile for each known device."""
    return [profile_manifest(device) for device in DEVICES.values()]


def profile_manifest(device: Device) -> dict[str, Any]:
    """Return a ComputeProfile of a device; the planner knows the device's speeds by its name."""
    accelerator: dict[str, Any] = {"name": device.name, "perNode": device.per_node}
    if device.resource:
        accelerator["resource"] = device.resource
    if device.memory:
        accelerator["memory"] = device.memory
    return {
        "apiVersion": API_VERSION,
        "kind": "ComputeProfile",
        "metadata": {"name": f"{device.name}x{device.per_node}"},
        "spec": {"accelerator": accelerator},
    }
