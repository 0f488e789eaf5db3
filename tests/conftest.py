"""What all tests share: the cluster they may touch, and snapshots of rendered manifests."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, settings

SNAPSHOTS = Path(__file__).parent / "snapshots"

# How long an example takes depends on the load of the machine, and no test is about it.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


def pytest_configure() -> None:
    """Unset KUBECONFIG, and treat SIGTERM like an interrupt.

    Tests install CRDs and run an operator, which must not happen in a cluster of the user because
    of a variable in the environment. An interrupted session stops the clusters that it started.
    """
    os.environ.pop("KUBECONFIG", None)

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kubeconfig",
        type=Path,
        help="use this cluster instead of a local one; CRDs are installed, an operator is run",
    )
    parser.addoption(
        "--update-snapshots",
        action="store_true",
        help="write tests/snapshots/*.yaml instead of comparing with them",
    )


@pytest.fixture
def assert_snapshot(request: pytest.FixtureRequest) -> Callable[[str, list[Any]], None]:
    """Compare manifests with `tests/snapshots/<case>.yaml`."""
    update = bool(request.config.getoption("--update-snapshots"))

    def compare(case: str, manifests: list[Any]) -> None:
        path = SNAPSHOTS / f"{case}.yaml"
        text = yaml.safe_dump_all(manifests, sort_keys=False, allow_unicode=True, width=100)
        if update:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        hint = "refresh with `pytest --update-snapshots`, then read the difference"
        assert path.exists(), f"{path.name} is missing; {hint}"
        assert text == path.read_text(encoding="utf-8"), f"{path.name} differs; {hint}"

    return compare
