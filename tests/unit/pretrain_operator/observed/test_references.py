"""References of specs that an older CRD let through, or that a user wrote by mistake."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from builders import (
    dataset_spec,
    make_object,
    run_spec,
    tokenizer_spec,
)
from pretrain_operator.observed.objects import Key, ListedObjects, ObservedObject
from pretrain_operator.observed.references import (
    ANY_PROFILE,
    collect_related,
    references,
)

KINDS = ("DataPipeline", "Tokenizer", "TokenDataset", "PretrainJob")
NAMES = ("a", "b", "c")

junk: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "pipelineRef", "credentialsSecretRef"]), inner)
    ),
    max_leaves=8,
)
FIELDS = ("profileRef", "corpus", "mixture", "tokenizerRef", "data", "output", "sources")
hostile_specs = st.dictionaries(st.sampled_from(FIELDS), junk)


@given(st.sampled_from((*KINDS, "ComputeProfile")), hostile_specs)
def test_any_spec_has_references_with_usable_names(kind: str, spec: dict[str, Any]) -> None:
    observed = make_object(kind, spec=spec)
    for key in references(observed):
        assert isinstance(key.name, str)
        assert key.name
        assert key.namespace == ("" if key.kind == "ComputeProfile" else "default")
    profiles = [key for key in references(observed) if key.kind == "ComputeProfile"]
    assert len(profiles) == (kind != "ComputeProfile")


def test_an_invalid_part_of_a_spec_hides_no_other_reference() -> None:
    mixture: list[Any] = [
        {"pipelineRef": {"name": "a"}},
        None,
        {"pipelineRef": 3},
        {"pipelineRef": {}},
        "b",
    ]
    spec = dataset_spec(mixture=mixture, tokens=-1, tokenizerRef=[])
    assert references(make_object("TokenDataset", spec=spec)) == {
        ANY_PROFILE,
        Key("DataPipeline", "default", "a"),
    }


def refer(kind: str, name: str, targets: tuple[str, ...]) -> ObservedObject:
    """Return an object that refers to objects with these names."""
    refs = [{"name": target} for target in targets]
    match kind:
        case "Tokenizer":
            spec = tokenizer_spec(corpus={"pipelineRef": refs[0]})
        case "TokenDataset":
            parts = [{"pipelineRef": ref} for ref in refs]
            spec = dataset_spec(tokenizerRef=refs[-1], mixture=parts)
        case "PretrainJob":
            spec = run_spec(data={"datasetRef": refs[0]}, profileRef=refs[-1])
        case _:
            return make_object(kind, name)
    return make_object(kind, name, spec=spec)


class CountingReader(ListedObjects):
    """A reader that counts how often each key is looked up."""

    lookups = 0

    def get(self, key: Key) -> ObservedObject | None:
        """Return the object `key`."""
        self.lookups += 1
        return super().get(key)


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(KINDS), st.sampled_from(NAMES)),
        st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(tuple),
    ),
    st.sets(st.sampled_from(NAMES)),
    st.sampled_from(NAMES),
)
def test_related_objects_are_all_that_can_be_reached_each_once(
    graph: dict[tuple[str, str], tuple[str, ...]], profiles: set[str], target: str
) -> None:
    objects = [refer(kind, name, targets) for (kind, name), targets in graph.items()]
    objects += [make_object("ComputeProfile", name) for name in sorted(profiles)]
    reader = CountingReader(objects)
    owner = refer("PretrainJob", "owner", (target,))
    related = list(collect_related(reader, owner))

    reached, frontier = set[Key](), {owner.key}
    by_key = {item.key: item for item in (*objects, owner)}
    while frontier:
        found = {key for item in frontier for key in references(by_key[item]) if key in by_key}
        frontier = found - reached
        reached |= found
    profile_keys = {Key("ComputeProfile", "", name) for name in profiles}
    assert {item.key for item in related} == reached | profile_keys
    assert len(related) == len({item.key for item in related})
    assert reader.lookups <= 4 * (len(objects) + 4)


def test_objects_of_other_namespaces_are_never_related() -> None:
    theirs = make_object("TokenDataset", "blocks")
    elsewhere = ListedObjects([replace(theirs, key=Key("TokenDataset", "theirs", "blocks"))])
    assert list(collect_related(elsewhere, make_object("PretrainJob", "run"))) == []
