"""The renderer of CRDs and reference pages: what it writes of a type, and what it refuses."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from pretrain_api.kinds import KINDS, TOKENIZER, Column, Kind
from pretrain_api.meta import ApiModel
from pretrain_api.pages.reference import page
from pretrain_api.quantities import Quantity
from pretrain_api.rules.catalogue import enforced
from pretrain_api.schema import crd, structural_schema

KIND_IDS = [kind.name for kind in KINDS]
JSON_TYPES = {"string": {"string"}, "integer": {"integer"}, "number": {"number", "integer"}}


class Inner(ApiModel):
    """An inner type."""

    size: Annotated[int, Field(ge=1, le=9)] = 3
    """Its size."""


class Outer(ApiModel):
    """A type with one field of each form."""

    title: str
    """A field with the name of a keyword | and a bar."""

    default: Inner = Inner()
    """Another one."""

    maybe: Inner | None = None
    """It may be absent."""

    several: Annotated[list[Inner], Field(max_length=4)] = []
    """A list."""

    by_name: dict[str, Inner] = {}
    """A map."""

    amount: Quantity = 5
    """An amount."""

    choice: Literal["one", "two"] = "one"
    """A choice."""


def test_fields_named_like_keywords_keep_their_names() -> None:
    schema = structural_schema(Outer)
    assert set(schema["properties"]) == {
        "title",
        "default",
        "maybe",
        "several",
        "byName",
        "amount",
        "choice",
    }
    assert schema["required"] == ["title"]


def test_references_are_inlined_with_the_text_of_the_field() -> None:
    properties = structural_schema(Outer)["properties"]
    for name in ("default", "maybe"):
        assert properties[name]["properties"]["size"]["maximum"] == 9
        assert properties[name]["description"] != Inner.__doc__
    assert properties["several"]["items"]["description"] == Inner.__doc__
    assert properties["byName"]["additionalProperties"]["properties"]["size"]["minimum"] == 1


def test_an_amount_is_an_integer_or_text_with_a_pattern() -> None:
    amount = structural_schema(Outer)["properties"]["amount"]
    assert amount["x-kubernetes-int-or-string"] is True
    assert amount["anyOf"] == [{"type": "integer"}, {"type": "string"}]
    assert "pattern" in amount


def test_a_map_with_a_pattern_of_keys_becomes_a_map() -> None:
    class Weights(BaseModel):
        weights: dict[Annotated[str, Field(pattern="^[a-z]+$")], float]

    schema = structural_schema(Weights)["properties"]["weights"]
    assert schema["additionalProperties"] == {"type": "number"}
    assert "patternProperties" not in schema


class Below(BaseModel):
    value: int = Field(lt=9)


class InAList(BaseModel):
    values: list[Annotated[float, Field(gt=0.0)]]


class Fixed(BaseModel):
    value: Literal["one"]


class Nested(BaseModel):
    inner: Below


class Several(BaseModel):
    value: int | str | None


@pytest.mark.parametrize(
    ("model", "keyword"),
    [
        (Below, "exclusiveMaximum"),
        (InAList, "exclusiveMinimum"),
        (Fixed, "const"),
        (Nested, "exclusiveMaximum"),
        (Several, "unions are structural"),
    ],
)
def test_what_the_api_server_would_misread_is_refused(model: type[BaseModel], keyword: str) -> None:
    with pytest.raises(ValueError, match=keyword):
        structural_schema(model)


def walk(schema: dict[str, Any], path: str) -> dict[str, Any] | None:
    """Return the schema of the field at a path such as `.spec.model.layers`."""
    node: dict[str, Any] | None = schema
    for part in path.strip(".").split("."):
        if node is None:
            return None
        values = node.get("additionalProperties")
        node = node.get("properties", {}).get(part, values if isinstance(values, dict) else None)
    return node


def root_of(kind: Kind) -> dict[str, Any]:
    schema: dict[str, Any] = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


COLUMNS = [(kind, column) for kind in KINDS for column in kind.columns]


@pytest.mark.parametrize(
    ("kind", "column"), COLUMNS, ids=[f"{kind.name}-{column.name}" for kind, column in COLUMNS]
)
def test_a_column_shows_a_field_of_its_type(kind: Kind, column: Column) -> None:
    """A column whose path has a typing error is empty, silently."""
    if column.path.startswith(".metadata."):
        assert column.type == "date"
        return
    if "conditions[?" in column.path:
        assert walk(root_of(kind), ".status.conditions") is not None
        return
    node = walk(root_of(kind), column.path)
    assert node is not None
    assert node["type"] in JSON_TYPES[column.type]


@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
def test_the_error_of_each_rule_points_at_a_field_of_the_schema(kind: Kind) -> None:
    """The API server refuses a CRD whose fieldPath does not exist."""
    spec = root_of(kind)["properties"]["spec"]
    for rule in enforced(kind.name):
        assert walk(spec, rule.field) is not None, rule.id
    paths = [entry["fieldPath"] for entry in spec["x-kubernetes-validations"]]
    assert paths == [f".{rule.field}" for rule in enforced(kind.name)]


@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
def test_only_wide_columns_are_hidden_and_names_are_unique(kind: Kind) -> None:
    shown = crd(kind)["spec"]["versions"][0]["additionalPrinterColumns"]
    names = [column["name"] for column in shown]
    assert len(set(names)) == len(names)
    hidden = {column["name"] for column in shown if column.get("priority")}
    assert hidden == {column.name for column in kind.columns if column.wide}


def test_kinds_have_distinct_names() -> None:
    for attribute in ("name", "plural", "short_name"):
        assert len({getattr(kind, attribute) for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("namespaced", [True, False])
def test_the_scope_of_a_kind_is_that_of_its_crd_and_page(namespaced: bool) -> None:
    kind = replace(TOKENIZER, namespaced=namespaced)
    assert crd(kind)["spec"]["scope"] == ("Namespaced" if namespaced else "Cluster")
    assert ("cluster-wide" in page(kind)) is not namespaced


def test_a_kind_without_rules_has_no_validations() -> None:
    rendered = crd(replace(TOKENIZER, rules=()))
    root = rendered["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert "x-kubernetes-validations" not in root["properties"]["spec"]


def rows(kind: Kind) -> dict[str, list[str]]:
    """Return the cells of each row of a reference page, by field."""
    lines = [line for line in page(kind).splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in _cells(line)] for line in lines]
    assert len({line[0] for line in cells}) == len(cells)
    return {line[0].strip("`"): line[1:] for line in cells}


def _cells(line: str) -> Iterator[str]:
    for cell in line.replace("\\|", "\0").strip("|").split("|"):
        yield cell.replace("\0", "|")


def test_a_reference_page_says_type_default_and_meaning_of_every_field() -> None:
    shown = rows(replace(TOKENIZER, spec=Outer, rules=()))
    assert shown["spec.title"] == [
        "string",
        "**required**",
        "A field with the name of a keyword | and a bar.",
    ]
    assert shown["spec.default.size"] == ["integer, ≥ 1, ≤ 9", "`3`", "Its size."]
    assert shown["spec.maybe.size"] == ["integer, ≥ 1, ≤ 9", "`3`", "Its size."]
    assert shown["spec.several[].size"][1] == "`3`"
    assert shown["spec.byName.*.size"][1] == "`3`"
    assert shown["spec.amount"][:2] == ["quantity", "`5`"]
    assert shown["spec.choice"][:2] == ["string, `one` | `two`", '`"one"`']
    assert shown["spec.maybe"][:2] == ["object", ""]


@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
def test_a_reference_page_has_all_fields_of_the_schema(kind: Kind) -> None:
    shown = rows(kind)
    for name, node in root_of(kind)["properties"].items():
        for field in node["properties"]:
            assert f"{name}.{field}" in shown
    assert all(meaning for _, _, meaning in shown.values())
