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

# A busy machine is no bug: how long an example takes is never what a test is about.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


def pytest_configure() -> None:
    """Forget the caller's cluster, and let a terminated session end what it started.

    Tests install CRDs and run an operator: nobody's cluster gets them for a variable that happens
    to be set. A terminated session then ends its clusters as an interrupted one does.
    """
    os.environ.pop("KUBECONFIG", None)

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kubeconfig",
        type=Path,
        help="use this cluster instead of one of our own; CRDs are installed, an operator is run",
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
