"""The Chinese pages keep step with the English ones: headings, tables, commands and reasons."""

import re
from pathlib import Path

import pytest

from cluster import ROOT

CHINESE = ROOT / "docs/zh"
PAGES = sorted(path.name for path in CHINESE.glob("*.md"))
_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_HAN = re.compile(r"[\u4e00-\u9fff]")


def english(name: str) -> str:
    """Return the page that a Chinese one follows."""
    path = ROOT / name if name == "README.md" else ROOT / "docs" / name
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_code_blocks_are_the_same(name: str) -> None:
    chinese = (CHINESE / name).read_text(encoding="utf-8")
    assert _BLOCK.findall(chinese) == _BLOCK.findall(english(name))


@pytest.mark.parametrize("name", PAGES)
def test_headings_and_tables_have_the_same_form(name: str) -> None:
    assert form((CHINESE / name).read_text(encoding="utf-8")) == form(english(name))


def form(page: str) -> list[str]:
    """Return the levels of headings and the rows of tables, with the code that they name."""
    found = []
    for line in _BLOCK.sub("", page).splitlines():
        if line.startswith("#"):
            found.append(line.split(" ")[0])
        elif line.startswith("| `"):
            found.append(line.split("`")[1])
        elif line.startswith("|"):
            found.append("|")
    return found


@pytest.mark.parametrize("name", PAGES)
def test_every_paragraph_is_chinese(name: str) -> None:
    page = _BLOCK.sub("", (CHINESE / name).read_text(encoding="utf-8"))
    for paragraph in page.split("\n\n"):
        words = re.sub(r"\[[^]]*\]\([^)]*\)|`[^`]*`|[^\w]", "", paragraph)
        assert len(words) < 40 or _HAN.search(words), paragraph


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_files(name: str) -> None:
    page = (CHINESE / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)\)", page):
        assert (CHINESE / target).exists(), target


def test_what_a_newcomer_reads_first_is_there() -> None:
    assert {"README.md", "quickstart.md", "install.md", "troubleshooting.md"} <= {
        Path(name).name for name in PAGES
    }
