"""Where a test's objects live: a namespace, and a folder that its pods see as a volume."""

import json
from dataclasses import dataclass
from pathlib import Path

from cluster import Namespace
from e2e import chain


@dataclass(frozen=True)
class Place:
    """A namespace with a profile of its own, whose volume is the folder `data`."""

    namespace: Namespace
    data: Path
    profile: str

    def apply(self, *manifests: chain.Manifest) -> None:
        """Apply manifests of `chain`, for this profile."""
        self.namespace.apply(*(self._fitted(manifest) for manifest in manifests))

    def _fitted(self, manifest: chain.Manifest) -> chain.Manifest:
        fitted: chain.Manifest = json.loads(json.dumps(manifest))
        fitted["spec"]["profileRef"] = {"name": self.profile}
        return fitted
