"""The CRDs say what the types say, in the dialect of the API server."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from pretrain_api.__main__ import reference, render
from pretrain_api.kinds import KINDS, Kind
from pretrain_api.schema import crd, structural_schema
from pretrain_api.v1alpha1.pretrainjob import Budgets, RestartBudget

ROOT = Path(__file__).resolve().parents[3]
KIND_IDS = [kind.name for kind in KINDS]


@pytest.mark.parametrize("name", sorted(render()))
def test_committed_crds_are_what_the_types_generate(name: str) -> None:
    assert (ROOT / "crds" / name).read_text(encoding="utf-8") == render()[name], "make generate"


@pytest.mark.parametrize("name", sorted(reference()))
def test_committed_reference_pages_are_what_the_types_generate(name: str) -> None:
    page = (ROOT / "docs" / "api" / name).read_text(encoding="utf-8")
    assert page == reference()[name], "make generate"


@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
def test_every_field_of_a_spec_is_explained(kind: Kind) -> None:
    silent = list(_undescribed(structural_schema(kind.spec), "spec"))
    assert not silent


@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
def test_every_node_is_structural(kind: Kind) -> None:
    for path, node in _nodes(crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"], ""):
        typed = "type" in node or node.get("x-kubernetes-int-or-string") is True
        assert typed or node.get("x-kubernetes-preserve-unknown-fields"), path
        assert not {"$ref", "oneOf", "const", "default", "title"} & node.keys(), path


@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
def test_every_kind_has_a_status_a_short_name_and_columns(kind: Kind) -> None:
    rendered = crd(kind)["spec"]
    version = rendered["versions"][0]
    assert version["subresources"] == {"status": {}}
    assert rendered["names"]["shortNames"] == [kind.short_name]
    assert rendered["names"]["categories"] == ["pretrain"]
    assert {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"} in version[
        "additionalPrinterColumns"
    ]


def test_bounds_that_kubernetes_would_misread_are_refused() -> None:
    class Strict(BaseModel):
        count: int = Field(gt=0)

    with pytest.raises(ValueError, match="exclusiveMinimum"):
        structural_schema(Strict)


def test_unions_that_are_not_optional_are_refused() -> None:
    class Either(BaseModel):
        value: int | str

    with pytest.raises(ValueError, match=r"only .X . None. unions"):
        structural_schema(Either)


def _undescribed(node: dict[str, Any], path: str) -> list[str]:
    paths = []
    for name, child in node.get("properties", {}).items():
        here = f"{path}.{name}"
        if not child.get("description"):
            paths.append(here)
        paths += _undescribed(child, here)
        paths += _undescribed(child.get("items", {}), here + "[]")
    return paths


def _nodes(node: dict[str, Any], path: str) -> list[tuple[str, dict[str, Any]]]:
    nodes = [(path, node)]
    for name, child in node.get("properties", {}).items():
        nodes += _nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            nodes += _nodes(node[key], f"{path}[]")
    return nodes


@pytest.mark.parametrize("name", Budgets.model_fields)
def test_a_budget_that_is_half_written_keeps_the_other_default(name: str) -> None:
    default: RestartBudget = getattr(Budgets(), name)
    only_max = Budgets.model_validate({name: {"max": 7}})
    only_window = Budgets.model_validate({name: {"window": "2h"}})
    assert getattr(only_max, name).window == default.window
    assert getattr(only_window, name).max == default.max


def test_descriptions_for_kubectl_explain_end_with_the_default() -> None:
    spec = crd(kind("PretrainJob"))["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields = spec["properties"]["spec"]["properties"]
    budgets = fields["recovery"]["properties"]["budgets"]["properties"]
    described = {name: one["properties"]["max"]["description"] for name, one in budgets.items()}
    assert {name: text.split("Default: ")[1] for name, text in described.items()} == {
        "infrastructure": "20.",
        "user": "2.",
        "rollback": "3.",
    }
    assert fields["recovery"]["properties"]["startWithin"]["description"].endswith('"600s".')
    assert "Default" not in fields["model"]["properties"]["preset"]["description"]


def kind(name: str) -> Kind:
    return next(one for one in KINDS if one.name == name)
