"""Unit tests need seconds and no cluster: one that hangs, or waits for something, fails early."""

from pathlib import Path

import pytest

LIMIT_SECONDS = 30
"""Several times what the slowest needs on a busy machine, about 4 s: it draws a picture."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Limit the time of each test below this folder."""
    folder = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(folder):
            item.add_marker(pytest.mark.timeout(LIMIT_SECONDS))
