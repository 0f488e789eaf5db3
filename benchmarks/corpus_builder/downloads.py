"""Download packages by name and version with the ordinary clients, and read what they hold."""

import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

type Pairs = Iterator[tuple[str, str]]
"""(key, text) of the documents of a source."""


def pip_download(cache: Path, requirement: str, *, sdist: bool = False) -> Path:
    """Return the wheel or sdist of `requirement` ("name==version"), downloading it once."""
    name, version = requirement.split("==")
    folder = cache / "pip" / f"{name}-{version}"
    if not list(folder.glob("*")):
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "-d", str(folder)]
        command += ["--no-binary", name] if sdist else []  # never :all:, it compiles build tools
        subprocess.run([*command, requirement], check=True)
    return next(folder.glob("*"))


def npm_pack(cache: Path, package: str) -> Path:
    """Return the tarball of `package` ("name@version"), downloading it once."""
    folder = cache / "npm" / package.replace("/", "+")
    if not list(folder.glob("*.tgz")):
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "pack", package, "--silent"]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    return next(folder.glob("*.tgz"))


def apt_unpack(cache: Path, package: str) -> Path:
    """Return the folder that Debian's binary `package` unpacks to, downloading it once."""
    folder = cache / "apt" / package
    if not (folder / "root").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "-qq", "download", package], check=True, cwd=folder)
        deb = next(folder.glob("*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(deb), str(folder / "root")], check=True)
    return folder / "root"


def sdist_files(archive: Path, pattern: str) -> Pairs:
    """Yield (path inside, text) of the members of a tar archive that match `pattern`."""
    with tarfile.open(archive) as tar:
        for member in tar:
            path = member.name.split("/", 1)[-1]
            if member.isfile() and re.search(pattern, path):
                stream = tar.extractfile(member)
                assert stream is not None
                yield path, stream.read().decode("utf-8", "replace")
