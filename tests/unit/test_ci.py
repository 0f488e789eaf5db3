"""What CI runs is what `make check` runs, and it leaves nothing behind."""

import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from cluster import wait_until
from pretrain_local import procfs

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = """
install lint generated test:
\techo $@ >> steps
"""
STUCK = """
install:
\techo "$$TMPDIR" > folder.new && mv folder.new folder
\tsleep 600
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Give a folder with our CI and no project."""
    shutil.copytree(ROOT / ".ci", tmp_path / "checkout/.ci")
    return tmp_path / "checkout"


def test_ci_runs_what_make_check_runs(checkout: Path) -> None:
    (checkout / "Makefile").write_text(MAKEFILE)
    subprocess.run([checkout / ".ci/run"], check=True, stdout=subprocess.DEVNULL)
    [check] = re.findall(r"(?m)^check: (.*?) ##", (ROOT / "Makefile").read_text())
    assert (checkout / "steps").read_text().split() == ["install", *check.split()]


def test_ci_fails_with_its_first_step_that_fails(checkout: Path) -> None:
    (checkout / "Makefile").write_text(MAKEFILE + "\t[ $@ != lint ]\n")
    done = subprocess.run([checkout / ".ci/run"], check=False, capture_output=True)
    assert done.returncode == 2
    assert (checkout / "steps").read_text().split() == ["install", "lint"]


def test_ci_ends_its_step_and_leaves_no_folder_when_it_is_terminated(checkout: Path) -> None:
    (checkout / "Makefile").write_text(STUCK)
    record = checkout / "folder"
    command = [checkout / ".ci/run"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as ci:
        try:
            wait_until(lambda: record.exists() or None, "the first step", 20)
            folder = Path(record.read_text().strip())
            ci.terminate()
            assert ci.wait(timeout=20) == 143
        finally:
            with suppress(ProcessLookupError):
                os.killpg(ci.pid, signal.SIGKILL)
    assert not folder.exists()
    assert procfs.with_environment(f"TMPDIR={folder}") == []
