"""Write the page about wrong manifests: `python -m pretrain_api.rules FOLDER PAGE`."""

import sys
from pathlib import Path

from pretrain_api.rules.document import page


def read(folder: Path) -> dict[str, str]:
    """Return the manifests of a folder, by file name."""
    return {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.yaml")}


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:3])
    target.write_text(page(read(source)), encoding="utf-8")
