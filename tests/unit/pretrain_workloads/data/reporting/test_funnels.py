from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pytest

from pretrain_workloads.data.reporting.charts import bar_chart, line_chart
from pretrain_workloads.data.reporting.funnels import OTHERS, funnels

COLUMNS = {
    "source": pa.string(),
    "domain": pa.string(),
    "language": pa.string(),
    "bytes": pa.int64(),
    "characters": pa.int64(),
}


def table(rows: list[tuple[str, str, str, int, int]], **more: list[Any]) -> pa.Table:
    columns = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True)) if rows else {}
    made = pa.table({name: pa.array(columns.get(name, []), kind) for name, kind in COLUMNS.items()})
    for name, values in more.items():
        kind = pa.float32() if name == "quality" else pa.string()
        made = made.append_column(name, pa.array(values, kind))
    return made


KEPT = table(
    [("web", "law", "zh", 30, 10), ("web", "news", "en", 8, 8), ("books", "law", "en", 100, 100)],
    quality=[0.95, None, 0.2],
)
LOST = table(
    [("web", "law", "zh", 6, 2), ("web", "law", "en", 1, 1), ("menus", "news", "en", 3, 3)],
    rule=["1-length", "near", "1-length"],
)


def test_every_document_is_counted_once_by_source_and_by_domain() -> None:
    found = funnels(KEPT, [LOST, LOST])
    assert found["source"]["web"] == {
        "read": 6,
        "kept": 2,
        "bytesRead": 52,
        "bytesKept": 38,
        "dropped": {"1-length": 2, "near": 2},
    }
    assert list(found["source"]) == ["books", "web", "menus"], "the largest first"
    assert found["source"]["menus"]["kept"] == 0
    for dimension in ("source", "domain"):
        assert sum(row["read"] for row in found[dimension].values()) == 9


def test_lengths_are_counted_before_and_after() -> None:
    lengths = funnels(KEPT, [LOST])["lengths"]
    assert sum(lengths["read"]) == 6
    assert sum(lengths["kept"]) == 3
    assert lengths["read"][:5] == [1, 1, 1, 1, 1]  # 1, 2, 3, 8 and 10 characters
    assert lengths["kept"][7] == 1  # 100


def test_quality_is_counted_by_tenth_where_there_is_one() -> None:
    assert funnels(KEPT, [])["quality"] == [0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    silent = KEPT.drop_columns(["quality"]).append_column("quality", pa.nulls(3, pa.float32()))
    assert funnels(silent, [])["quality"] == []


def test_nothing_kept_and_nothing_lost_are_no_errors() -> None:
    empty = table([], quality=[])
    assert funnels(empty, [LOST])["source"]["web"]["kept"] == 0
    assert funnels(KEPT, [table([], rule=[])])["source"]["web"]["read"] == 2
    assert funnels(empty, [])["source"] == {}


def test_as_many_domains_as_documents_are_counted_in_bounded_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pretrain_workloads.data.reporting.funnels._MOST_TRACKED", 3)
    rows = [("web", f"https://host/{n}", "en", 1, 1) for n in range(40)]
    found = funnels(KEPT, [table(rows, rule=["1-length"] * 40)])["domain"]
    assert len(found) == 4
    assert sum(row["read"] for row in found.values()) == 43
    assert found[OTHERS]["read"] == 39


@pytest.mark.parametrize("values", [[0.0, 0.0], [1.0, 1e12], [3.0]])
def test_charts_of_any_values_are_well_formed(values: list[float]) -> None:
    labels = [f"<{place}>" for place in range(len(values))]
    ElementTree.fromstring(bar_chart(labels, [values, values], "a & b", "x"))
    ElementTree.fromstring(line_chart(list(enumerate(values)), "a & b", "x"))
