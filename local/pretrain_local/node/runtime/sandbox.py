"""Isolation of containers: bubblewrap where it works, plain processes elsewhere."""

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from pretrain_local.errors import LocalError
from pretrain_local.node.runtime import bubblewrap, plain
from pretrain_local.node.runtime.container_config import (
    Command,
    ContainerConfig,
    require_program,
)

AUTO, BUBBLEWRAP, PLAIN = "auto", "bubblewrap", "plain"
KINDS = (AUTO, BUBBLEWRAP, PLAIN)

_PROBE_SECONDS = 10


def bubblewrap_problem() -> str | None:
    """Return why bubblewrap does not work on this machine, or None if it works."""
    program = shutil.which(bubblewrap.PROGRAM)
    if program is None:
        return f"{bubblewrap.PROGRAM} is not installed"
    probe = [program, "--ro-bind", "/", "/", "--dev", "/dev", "--unshare-uts", "true"]
    try:
        done = subprocess.run(
            probe, capture_output=True, text=True, check=False, timeout=_PROBE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{program} does not work: {error}"
    return None if done.returncode == 0 else f"{program} does not work: {done.stderr.strip()}"


def choose(kind: str, report: Callable[[str], None]) -> str:
    """Return the sandbox to use for `kind`; report a warning if `auto` falls back to plain.

    Raises:
        LocalError: If `kind` is bubblewrap and that does not work.
    """
    if kind == PLAIN:
        return PLAIN
    problem = bubblewrap_problem()
    if problem is None:
        return BUBBLEWRAP
    if kind == BUBBLEWRAP:
        raise LocalError(f"sandbox: bubblewrap was asked for, but {problem}; use plain or auto")
    report(
        f"warning: {problem}; pods run as plain processes that see the whole machine and can "
        "mount only below /pretrain"
    )
    return PLAIN


def prepare(kind: str, config: ContainerConfig, folder: Path, hosts: Mapping[str, str]) -> Command:
    """Write the files that the sandbox needs, and return the command that runs the container.

    Args:
        kind: `bubblewrap` or `plain`.
        config: The container.
        folder: The attempt's folder, below its pod's.
        hosts: Addresses of pods by host name.

    Raises:
        CannotRun: If this kind of sandbox cannot run the container.
        NotReady: If it needs the address of a pod that has none yet.
    """
    (folder / "tmp").mkdir(mode=0o777)
    if kind == PLAIN:
        command = plain.prepare(config, folder, hosts)
    else:
        command = bubblewrap.prepare(config, folder)
    require_program(config.argv[0], command.environment.get("PATH", ""))
    return command
