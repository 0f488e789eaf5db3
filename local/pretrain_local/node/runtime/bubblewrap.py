"""Containers in a bubblewrap sandbox: machine read-only, own mounts, host name and /tmp."""

import os
import shutil
import sys
from pathlib import Path

from pretrain_local.node.runtime.attempts import pod_folder
from pretrain_local.node.runtime.container_config import Command, ContainerConfig

PROGRAM = "bwrap"

_OWN_FOLDERS = ("dev", "proc", "run", "tmp", "pretrain")
"""Folders of the root that are the sandbox's own, not the machine's."""
_CAPABILITIES = ("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID",
                 "CAP_SETUID", "CAP_NET_BIND_SERVICE")  # fmt: skip
"""Capabilities that root keeps, as in other container runtimes."""
_DEVICES = "nvidia"
"""Prefix of the devices that pods may use."""


def prepare(config: ContainerConfig, folder: Path) -> Command:
    """Return the command that runs a container in a sandbox; `folder` is the attempt's."""
    termination = folder / "termination-log"
    termination.touch()
    program = shutil.which(PROGRAM) or PROGRAM
    argv = [program, "--die-with-parent", "--unshare-uts", "--hostname", config.hostname]
    if os.geteuid() == 0:
        for capability in _CAPABILITIES:
            argv += ["--cap-add", capability]
    argv += [*_root_flags(), *_tmp_flags(folder / "tmp"), "--tmpfs", "/run", "--tmpfs", "/pretrain"]
    argv += ["--bind", str(pod_folder(folder) / "etc-hosts"), "/etc/hosts"]
    for mount in config.mounts:
        flag = "--ro-bind" if mount.read_only else "--bind"
        # Resolved, since a link such as /var/run would lead out of the sandbox's root.
        argv += [flag, str(mount.source), os.path.realpath(mount.destination)]
    argv += ["--bind", str(termination), config.termination_path]
    argv += ["--chdir", config.directory or "/tmp", "--"]
    environment = {"HOME": "/tmp"} | config.environment
    return Command(argv + config.argv, environment, "/", status_flag="--json-status-fd")


def _root_flags() -> list[str]:
    """Return the flags that show the machine's files read-only, with devices and processes."""
    flags = []
    for entry in sorted(Path("/").iterdir()):
        if entry.name in _OWN_FOLDERS:
            continue
        if entry.is_symlink():
            flags += ["--symlink", os.readlink(entry), str(entry)]
        elif entry.is_dir():
            flags += ["--ro-bind-try", str(entry), str(entry)]
    flags += ["--dev", "/dev", "--ro-bind", "/proc", "/proc"]
    for device in sorted(Path("/dev").glob(f"{_DEVICES}*")):
        flags += ["--dev-bind-try", str(device), str(device)]
    return flags


def _tmp_flags(folder: Path) -> list[str]:
    """Return the flags for a private /tmp, in which the interpreter and our code stay visible."""
    needed = {sys.prefix, sys.base_prefix, *sys.path}
    below_tmp = sorted(path for path in needed if path.startswith("/tmp/") and os.path.isdir(path))
    flags = ["--bind", str(folder), "/tmp"]
    for path in below_tmp:
        flags += ["--ro-bind", path, path]
    return flags
