"""What the documents name exists."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/architecture.md", "docs/planner.md"]
ALL_PAGES = [*PAGES[:3], *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))]
_PATH = re.compile(
    r"`((?:crds|operator|workloads|local|tests|charts|docs|benchmarks|images)/[^`\s*<…]*)`"
)
_SHORT_PATH = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|md|yaml|toml))`")
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    paths = set(_PATH.findall(text))
    missing = sorted(path for path in paths if not (ROOT / path).exists())
    assert not missing
    assert paths or page == "README.md"


@pytest.fixture(scope="module")
def files() -> list[str]:
    """Give all files of the repository, each after a slash."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [f"/{path}" for path in done.stdout.splitlines() if (ROOT / path).exists()]


@pytest.mark.parametrize("page", ALL_PAGES)
def test_every_short_path_of_a_page_ends_the_path_of_a_file(page: str, files: list[str]) -> None:
    """`admission/runs.py` is short for a file below one of the packages."""
    names = set(_SHORT_PATH.findall((ROOT / page).read_text(encoding="utf-8")))
    assert not [name for name in names if not any(file.endswith(f"/{name}") for file in files)]


@pytest.mark.parametrize("page", ALL_PAGES)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    links = _LINK.findall((ROOT / page).read_text(encoding="utf-8"))
    assert not [link for link in links if not (folder / link).exists()]


def test_the_way_of_a_manifest_has_twelve_sentences() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.split("## From a manifest to a running pod")[1].split("\n## ")[0]
    numbers = re.findall(r"^(\d+)\. ", section, re.MULTILINE)
    assert numbers == [str(number) for number in range(1, 13)]
