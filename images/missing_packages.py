"""Writes what an extra needs and this environment lacks: `missing.txt`, `missing-constraints.txt`.

    python missing_packages.py pyproject.toml EXTRA constraints.txt

A base that brings torch, Transformer Engine and their libraries has versions of its own, made for
each other. Those stay, whatever we pin; what they need in turn is there already.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Sequence
from importlib.metadata import distributions
from pathlib import Path

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")


def normal(requirement: str) -> str:
    """Return the normalised name of a requirement's package."""
    found = _NAME.match(requirement)
    if found is None:
        raise ValueError(f"{requirement!r} is not a requirement")
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def missing(requirements: Iterable[str], present: Iterable[str]) -> list[str]:
    """Return the requirements whose package is not `present`."""
    names = {normal(name) for name in present}
    return [requirement for requirement in requirements if normal(requirement) not in names]


def main(arguments: Sequence[str]) -> None:
    """Write both files."""
    project, extra, constraints = arguments
    table = tomllib.loads(Path(project).read_text(encoding="utf-8"))["project"]
    needed = [*table["dependencies"], *table["optional-dependencies"][extra]]
    lines = Path(constraints).read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    present = [distribution.name for distribution in distributions()]
    Path("missing.txt").write_text("\n".join(missing(needed, present)) + "\n", encoding="utf-8")
    kept = "\n".join(missing(pinned, present)) + "\n"
    Path("missing-constraints.txt").write_text(kept, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
