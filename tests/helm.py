"""The real helm, and the chart."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cluster import ROOT
from pretrain_local import binaries

Json = dict[str, Any]

CHART = ROOT / "charts" / "pretrain-operator"
RELEASE = "pretrain"
KUBERNETES = ("--kube-version=1.35.0",)
"""What helm takes for the cluster's version where it has none."""


class HelmError(Exception):
    """Helm has refused; with what it prints on standard error."""


@dataclass(frozen=True)
class Helm:
    """The program, for one namespace of a cluster or for none."""

    kubeconfig: Path | None = None
    namespace: str = "pretrain-system"
    chart: Path = CHART

    def run(self, command: str, *arguments: str) -> str:
        """Return what a command prints.

        Raises:
            HelmError: If it fails.
        """
        cluster = () if self.kubeconfig is None else (f"--kubeconfig={self.kubeconfig}",)
        words = [str(binaries.find("helm")), *command.split(), *arguments, *cluster]
        words.append(f"--namespace={self.namespace}")
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=240)
        if done.returncode != 0:
            raise HelmError(f"{done.stderr}\n{done.stdout}")
        return done.stdout

    def template(self, *arguments: str, release: str = RELEASE) -> list[Json]:
        """Return the manifests of a release, without installing it."""
        text = self.run("template", release, str(self.chart), *KUBERNETES, *arguments)
        return [manifest for manifest in yaml.safe_load_all(text) if manifest]
