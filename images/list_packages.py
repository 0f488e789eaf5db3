"""Prints the Python packages of this environment, and their licences, as SPDX 2.3.

python list_packages.py NAME > sbom.spdx.json
"""

import json
import re
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from typing import Any


def document(name: str, found: Iterable[Distribution]) -> dict[str, Any]:
    """Return the SPDX document of an image called `name`, the same for the same packages."""
    packages = sorted((package(one) for one in found), key=lambda one: str(one["SPDXID"]))
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"https://pretrain.dev/sbom/{name}",
        "creationInfo": {"created": "1970-01-01T00:00:00Z", "creators": ["Tool: list_packages.py"]},
        "packages": packages,
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": one["SPDXID"],
            }
            for one in packages
        ],
    }


def package(distribution: Distribution) -> dict[str, Any]:
    """Return one package."""
    name, version = distribution.name, distribution.version
    url = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}"
    return {
        "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", f"{name}-{version}"),
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseDeclared": licence(distribution),
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": url,
            }
        ],
    }


def licence(distribution: Distribution) -> str:
    """Return the SPDX expression that the package declares, if it declares one."""
    return distribution.metadata.get("License-Expression") or "NOASSERTION"


if __name__ == "__main__":
    json.dump(document(sys.argv[1], distributions()), sys.stdout, indent=1)
