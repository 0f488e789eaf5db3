"""A container in a bubblewrap sandbox: the machine read-only, mounts, a host name, own /tmp."""

import os
import shutil
import sys
from pathlib import Path

from pretrain_local.node.runtime.container_config import Command, Launch

PROGRAM = "bwrap"

_OWN = ("dev", "proc", "run", "tmp", "pretrain")
"""Folders of the root that the sandbox makes itself."""
_CAPABILITIES = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID",
                 "CAP_SETUID", "CAP_NET_BIND_SERVICE")  # fmt: skip
"""What root keeps, as in containers."""
_DEVICES = "nvidia"
"""Prefix of the devices that pods may use."""


def prepare(launch: Launch, folder: Path) -> Command:
    """Return the command of a container in a sandbox of its own."""
    termination = folder / "termination-log"
    termination.touch()
    program = shutil.which(PROGRAM) or PROGRAM
    argv = [program, "--die-with-parent", "--unshare-uts", "--hostname", launch.hostname]
    if os.geteuid() == 0:
        for capability in _CAPABILITIES:
            argv += ["--cap-add", capability]
    argv += [*_machine(), *_own_tmp(folder / "tmp"), "--tmpfs", "/run", "--tmpfs", "/pretrain"]
    argv += ["--bind", str(folder.parents[2] / "etc-hosts"), "/etc/hosts"]
    for bind in launch.binds:
        flag = "--ro-bind" if bind.read_only else "--bind"
        # A link on the way (/var/run) would lead out of the root that is being built.
        argv += [flag, str(bind.source), os.path.realpath(bind.destination)]
    argv += ["--bind", str(termination), launch.termination_path]
    argv += ["--chdir", launch.directory or "/tmp", "--"]
    environment = {"HOME": "/tmp"} | launch.environment
    return Command(argv + launch.argv, environment, "/", status_flag="--json-status-fd")


def _machine() -> list[str]:
    """Return the flags that show the machine's files read-only, with devices and processes."""
    flags = []
    for entry in sorted(Path("/").iterdir()):
        if entry.name in _OWN:
            continue
        if entry.is_symlink():
            flags += ["--symlink", os.readlink(entry), str(entry)]
        elif entry.is_dir():
            flags += ["--ro-bind-try", str(entry), str(entry)]
    flags += ["--dev", "/dev", "--ro-bind", "/proc", "/proc"]
    for device in sorted(Path("/dev").glob(f"{_DEVICES}*")):
        flags += ["--dev-bind-try", str(device), str(device)]
    return flags


def _own_tmp(folder: Path) -> list[str]:
    """Return the flags for a private /tmp, where the interpreter and our code stay visible."""
    needed = {sys.prefix, sys.base_prefix, *sys.path}
    below = sorted(path for path in needed if path.startswith("/tmp/") and os.path.isdir(path))
    flags = ["--bind", str(folder), "/tmp"]
    for path in below:
        flags += ["--ro-bind", path, path]
    return flags
