"""Writes what the chart has from elsewhere: its CRDs, and the table of values in its README.

python charts/generate.py
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "charts/pretrain-operator"
BEGIN, END = "<!-- values: made by charts/generate.py -->", "<!-- end of values -->"


def copy_crds(source: Path, target: Path) -> None:
    """Copy the CRDs: a chart can read no file outside its folder."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in sorted(source.glob("*.yaml")):
        shutil.copy(path, target / path.name)


def rows(
    schema: Mapping[str, Any], values: Any, prefix: str = ""
) -> Iterator[tuple[str, str, str]]:
    """Yield name, default and description of each value of a schema."""
    for name, child in schema["properties"].items():
        if name not in values:
            continue
        path = f"{prefix}{name}"
        if "properties" in child and "requests" not in child["properties"]:
            if "description" in child:
                yield path, "", child["description"]
            yield from rows(child, values[name], f"{path}.")
        else:
            default = json.dumps(values[name], ensure_ascii=False)
            allowed = " or ".join(f"`{one}`" for one in child.get("enum", ()))
            yield path, default, child["description"] + (f" One of {allowed}." if allowed else "")


def table(schema: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Return the values as a Markdown table."""
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for name, default, meaning in rows(schema, values):
        shown = f"`{default}`" if default else ""
        lines.append(f"| `{name}` | {shown} | {meaning} |")
    return "\n".join(lines)


def main() -> None:
    """Write the generated files."""
    copy_crds(ROOT / "crds", CHART / "files/crds")
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    page = CHART / "README.md"
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{table(schema, values)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
