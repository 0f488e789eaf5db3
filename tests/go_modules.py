"""Files of the Go modules that tests build programs from."""

import subprocess
from pathlib import Path

from pretrain_local.go_builds import MODULES


def module_folder(program: str, module: str) -> Path:
    """Return the folder of a module that a program is built from, in Go's module cache."""
    done = subprocess.run(
        ["go", "list", "-m", "-f", "{{.Dir}}", module],
        cwd=MODULES / program,
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(done.stdout.strip())
