"""Known devices: their names in any spelling, and what a profile says instead."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain_api.profiles import DEVICES, device_of, find_device, memory_of
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec

SPELLINGS = {
    "h100": ["H100", "NVIDIA H100", "nvidia-h100-80gb-hbm3", "h100-sxm", "DGX H100", "h100-pcie"],
    "h200": ["H200", "nvidia-h200", "h200-141gb", "hgx-h200"],
    "b200": ["B200", "nvidia_b200", "HGX B200", "b200-180gb"],
    "gb200": ["GB200", "gb200-nvl72", "NVIDIA GB200"],
    "a100-80gb": ["a100", "A100-SXM4-80GB", "nvidia-a100", "a100-80gb", "NVIDIA A100-PCIE"],
    "a100-40gb": ["a100-40gb", "A100-SXM4-40GB", "nvidia-a100-pcie-40gb"],
    "l40s": ["L40S", "nvidia-l40s"],
    "rtx4090": ["RTX 4090", "4090", "GeForce RTX 4090", "nvidia-rtx4090"],
    "910b": ["910B", "Ascend 910B", "910B2"],
    "cpu": ["cpu", "CPU"],
}
NAMES = [(name, spelling) for name, spellings in SPELLINGS.items() for spelling in spellings]


@pytest.mark.parametrize(("name", "spelling"), NAMES)
def test_a_device_is_found_in_its_common_spellings(name: str, spelling: str) -> None:
    assert find_device(spelling) is DEVICES[name]


@pytest.mark.parametrize("name", ["", "tpu-v5p", "h10", "v100", "mi300x", "nvidia", "b20", "l40"])
def test_other_devices_are_unknown(name: str) -> None:
    assert find_device(name) is None


@given(st.text(max_size=80))
def test_any_name_is_a_known_device_or_none(name: str) -> None:
    assert find_device(name) in (None, *DEVICES.values())


def profile(network: dict[str, Any] | None = None, **accelerator: Any) -> ComputeProfileSpec:
    fields = {"accelerator": accelerator, "network": network or {}}
    return ComputeProfileSpec.model_validate(fields)


@pytest.mark.parametrize("name", sorted(DEVICES))
def test_a_profile_that_only_names_its_device_is_that_device(name: str) -> None:
    known = DEVICES[name]
    device = device_of(profile(name=name, perNode=known.per_node, resource=known.resource))
    assert device is not None
    assert device.fp8_teraflops == pytest.approx(known.fp8_teraflops)
    assert dataclasses.replace(device, fp8_teraflops=known.fp8_teraflops) == known


def test_values_of_a_profile_take_precedence() -> None:
    network = {"domainSize": 2, "domainGigabytesPerSecond": 7.0, "gigabytesPerSecond": 3.0}
    device = device_of(
        profile(network, name="h100", perNode=4, memory="94Gi", memoryGigabytesPerSecond=3900.0)
    )
    assert device is not None
    want = dataclasses.replace(
        DEVICES["h100"],
        per_node=4,
        memory=94 * 2**30,
        memory_gigabytes_per_second=3900.0,
        domain_size=2,
        domain_gigabytes_per_second=7.0,
        gigabytes_per_second=3.0,
        resource=None,
    )
    assert device == want


def test_another_peak_scales_the_rate_of_fp8() -> None:
    device = device_of(profile(name="h100", peakTeraflops=494.7))
    assert device is not None
    assert device.bf16_teraflops == 494.7
    assert device.fp8_teraflops == pytest.approx(1979 / 2)


def test_an_unknown_device_needs_a_peak_before_its_time_is_predicted() -> None:
    assert device_of(profile(name="mi300x", perNode=8)) is None
    device = device_of(profile(name="mi300x", perNode=8, peakTeraflops=1307.0))
    assert device is not None
    assert device.family == "unknown"
    assert device.domain_size == 8
    assert device.fp8_teraflops == device.bf16_teraflops
    assert device.source == "the profile"


MEMORIES = {
    "of the known device": (profile(name="h200"), 141 * 10**9),
    "of the profile": (profile(name="h200", memory="100G"), 100 * 10**9),
    "of an unknown device": (profile(name="mi300x"), None),
    "of an unknown device, given": (profile(name="mi300x", memory="192G"), 192 * 10**9),
    "of a processor": (profile(name="cpu"), None),
}


@pytest.mark.parametrize("name", MEMORIES)
def test_memory_is_the_profiles_or_the_known_devices(name: str) -> None:
    spec, want = MEMORIES[name]
    assert memory_of(spec) == want
