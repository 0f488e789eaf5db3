"""What all tests share: snapshots of rendered manifests, refreshed by `--update-snapshots`."""

import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import yaml
from hypothesis import settings

SNAPSHOTS = Path(__file__).parent / "snapshots"

# A busy machine is no bug: how long an example takes is never what a test is about.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


def pytest_configure() -> None:
    """Let a terminated session end its clusters and operators as an interrupted one does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def pytest_addoption(parser: pytest.Parser) -> None:
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
