"""Environment variables of containers: expansion, ConfigMaps, Secrets, the downward API."""

from typing import Any

import pytest

from pod_inputs import make_pod_inputs
from pods import make_container
from pretrain_local.node.api.pod_inputs import NotReady
from pretrain_local.node.api.references import ObjectReference, referenced_objects
from pretrain_local.node.runtime.environment import build_environment, expand


def environment(*env: dict[str, Any], **fields: Any) -> dict[str, str]:
    inputs = make_pod_inputs(make_container("pass", env=[*env], **fields))
    return build_environment(inputs.pod.spec.containers[0], inputs, {"BASE": "base"})


def from_field(path: str) -> dict[str, Any]:
    return {"name": "V", "valueFrom": {"fieldRef": {"fieldPath": path}}}


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("$(A)/$(B)", "1/2"),
        ("$$(A)", "$(A)"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$A costs 3$", "$A costs 3$"),
        ("$$$(A)", "$1"),
    ],
)
def test_references_are_expanded_as_kubernetes_does(text: str, want: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == want


def test_a_variable_may_use_those_before_it() -> None:
    variables = environment({"name": "A", "value": "$(BASE)!"}, {"name": "B", "value": "$(A)$(C)"})
    assert (variables["A"], variables["B"]) == ("base!", "base!$(C)")


@pytest.mark.parametrize(
    ("path", "want"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "n"),
        ("metadata.uid", "u"),
        ("metadata.labels['team']", "a"),
        ("metadata.labels['absent']", ""),
        ("metadata.annotations['note']", "x"),
        ("metadata.labels", 'app="b"\nteam="a"'),
        ("spec.nodeName", "local"),
        ("status.podIP", "127.9.1.1"),
        ("status.hostIP", "127.9.0.1"),
    ],
)
def test_fields_of_the_pod(path: str, want: str) -> None:
    assert environment(from_field(path))["V"] == want


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(NotReady, match=r"'spec\.colour' is not supported"):
        environment(from_field("spec.colour"))


@pytest.mark.parametrize(
    ("reference", "want"),
    [
        ({"resource": "limits.memory"}, str(2**30)),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "1024"),
        ({"resource": "requests.cpu"}, "1"),
        ({"resource": "requests.cpu", "divisor": "1m"}, "500"),
        ({"resource": "limits.cpu"}, "4"),
    ],
)
def test_resources_are_rounded_up_to_the_divisor(reference: dict[str, str], want: str) -> None:
    resources = {"limits": {"memory": "1Gi"}, "requests": {"cpu": "500m"}}
    entry = {"name": "V", "valueFrom": {"resourceFieldRef": reference}}
    assert environment(entry, resources=resources)["V"] == want


def test_keys_of_objects() -> None:
    variables = environment(
        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
        envFrom=[{"prefix": "ALL_", "configMapRef": {"name": "settings"}}],
    )
    assert (variables["A"], variables["B"], variables["ALL_shape"]) == ("blue", "hidden", "round")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"secretKeyRef": {"name": "absent", "key": "k"}}, 'secret "absent" not found'),
        (
            {"configMapKeyRef": {"name": "settings", "key": "size"}},
            "configmap \"settings\" has no key 'size'; it has: colour, shape",
        ),
    ],
)
def test_a_missing_object_or_key_is_named(source: dict[str, Any], message: str) -> None:
    with pytest.raises(NotReady) as caught:
        environment({"name": "V", "valueFrom": source})
    assert str(caught.value) == message
    assert caught.value.reason == "CreateContainerConfigError"


def test_an_optional_object_may_be_missing() -> None:
    reference = {"name": "absent", "key": "k", "optional": True}
    variables = environment(
        {"name": "V", "valueFrom": {"secretKeyRef": reference}},
        envFrom=[{"secretRef": {"name": "absent", "optional": True}}],
    )
    assert "V" not in variables


def test_all_objects_that_a_pod_references_are_read() -> None:
    key = {"name": "a", "key": "k", "optional": True}
    inputs = make_pod_inputs(
        make_container(
            "pass",
            env=[{"name": "V", "valueFrom": {"secretKeyRef": key}}],
            envFrom=[{"configMapRef": {"name": "b"}}],
        ),
        volumes=[
            {"name": "v", "secret": {"secretName": "c"}},
            {"name": "w", "projected": {"sources": [{"configMap": {"name": "d"}}]}},
        ],
    )
    assert referenced_objects(inputs.pod) == {
        ObjectReference("secret", "a", True),
        ObjectReference("configmap", "b"),
        ObjectReference("secret", "c"),
        ObjectReference("configmap", "d"),
    }
