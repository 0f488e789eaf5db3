"""What is in the images: one release, an inventory, and a base's own torch left alone."""

import importlib.util
import json
import re
import sys
from importlib.metadata import PathDistribution, distribution
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from cluster import ROOT
from pretrain_api.meta import RELEASE
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec

IMAGES = ROOT / "images"
DOCKERFILES = sorted(IMAGES.glob("*/Dockerfile"))


def script(name: str) -> ModuleType:
    """Return a script of the images as a module."""
    specification = importlib.util.spec_from_file_location(name, IMAGES / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_package_chart_and_images_have_one_release() -> None:
    chart = yaml.safe_load((ROOT / "charts/pretrain-operator/Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == RELEASE
    assert distribution("pretrain-operator").version == RELEASE
    images = ComputeProfileSpec().images
    assert (images.data, images.trainer) == (
        f"pretrain-data:{RELEASE}",
        f"pretrain-trainer:{RELEASE}",
    )


def test_nothing_asks_for_the_latest_image() -> None:
    folders = ("charts", "crds", "images", "examples", "docs")
    suffixes = {".yaml", ".py", ".md", ".tpl", ".json", ".sh", ""}
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix in suffixes and "__pycache__" not in path.parts:
                assert ":latest" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_an_image_runs_as_a_user_and_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    last = text[text.rindex("\nFROM ") :]
    assert re.search(r"^USER 65532:65532$", last, re.MULTILINE)
    for label in ("title", "description", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{label}=" in last
    assert "sbom.spdx.json" in text
    assert "find_spec" in last, "it checks what must be absent"


def test_packages_of_the_base_are_not_installed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "site-packages"
    for name, version in (("torch", "2.9.0a0+nv26.01"), ("Transformer_Engine", "2.9+nv")):
        folder = base / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (folder / "METADATA").write_text(metadata)
    monkeypatch.setattr(sys, "path", [str(base)])
    monkeypatch.chdir(tmp_path)
    project, constraints = ROOT / "pyproject.toml", ROOT / "constraints.txt"
    script("missing_packages").main([str(project), "trainer", str(constraints)])
    needed = Path("missing.txt").read_text().splitlines()
    assert not [line for line in needed if line.startswith("torch=")]
    assert [line for line in needed if line.startswith("megatron-core==")]
    pinned = Path("missing-constraints.txt").read_text().splitlines()
    assert not [line for line in pinned if re.match(r"torch==", line)]
    assert len(pinned) > 50


def test_the_inventory_names_each_package_once_and_is_the_same_each_time(tmp_path: Path) -> None:
    folder = tmp_path / "Some_Thing-1.2.dist-info"
    folder.mkdir()
    text = "Metadata-Version: 2.4\nName: Some_Thing\nVersion: 1.2\nLicense-Expression: MIT\n"
    (folder / "METADATA").write_text(text)
    found = script("list_packages").document("image", [PathDistribution(folder)])
    (package,) = found["packages"]
    assert package["licenseDeclared"] == "MIT"
    assert package["externalRefs"][0]["referenceLocator"] == "pkg:pypi/some-thing@1.2"
    assert json.dumps(found) == json.dumps(
        script("list_packages").document("image", [PathDistribution(folder)])
    )
