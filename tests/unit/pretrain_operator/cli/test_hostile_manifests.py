"""Manifests that attack the reader: no text makes the command line hang, crash or misread."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_body
from pretrain_api.kinds import KINDS
from pretrain_api.problems import InvalidManifest
from pretrain_operator.cli.main import ACCEPTED, REFUSED, UNUSABLE, main
from pretrain_operator.cli.manifests import parse_text, read_manifests

HEAD = "apiVersion: pretrain.dev/v1alpha1\nkind: ComputeProfile\nmetadata: {name: nodes}\n"


def doubled(first: str, line: str) -> str:
    """Return 40 lines, each of which stands for twice as much as the one before it."""
    return f"x0: &x0 {first}\n" + "".join(
        f"x{n}: &x{n} {line.replace('OLD', f'*x{n - 1}')}\n" for n in range(1, 40)
    )


HOSTILE = {
    "aliases that stand for billions of values": (
        doubled("[a, a]", "[OLD, OLD]") + HEAD + "spec: {accelerator: *x39}",
        "values once its aliases are expanded",
    ),
    "merge keys that stand for billions of fields": (
        doubled("{a: 1}", "{<<: [OLD, OLD]}") + HEAD + "spec: {}",
        "a map has more than",
    ),
    "a map that contains itself": (
        HEAD + "spec: {pods: {tolerations: [&toleration {key: *toleration}]}}",
        "values once its aliases are expanded",
    ),
    "a list that contains itself": (HEAD + "spec: &spec [*spec]", "aliases are expanded"),
    "a number of thousands of digits": (
        HEAD + "spec: {accelerator: {perNode: 0x" + "f" * 6000 + "}}",
        "an integer of more than 64 bits",
    ),
    "an integer that is too long for Python": (
        HEAD + "spec: {x: " + "9" * 5000 + "}",
        "not valid YAML",
    ),
    "infinity": (HEAD + "spec: {network: {gigabytesPerSecond: .inf}}", "the number inf"),
    "no number": (HEAD + "spec: {network: {gigabytesPerSecond: .NaN}}", "the number nan"),
    "a key that is a list": (HEAD + "spec: {[a]: 1}", "not valid YAML"),
    "an alias without anchor": (HEAD + "spec: *nothing", "not valid YAML"),
    "an object of Python": (HEAD + "spec: !!python/object/apply:os.getcwd []", "not valid YAML"),
    "a list in a list": (
        "kind: List\nitems: [{kind: PodList, items: []}]",
        "a list holds a list",
    ),
    "a list with a number": ("kind: List\nitems: [1]", "no Kubernetes object"),
    "more than eight megabytes": ("a" * (8 * 2**20 + 1), "is larger than"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_refused_with_a_short_reason(name: str) -> None:
    text, reason = HOSTILE[name]
    with pytest.raises(InvalidManifest) as refused:
        parse_text(text, "run.yaml")
    [problem] = refused.value.problems
    assert problem.startswith("run.yaml: ")
    assert reason in problem
    assert len(problem) < 500


def test_ordinary_anchors_and_merge_keys_are_expanded() -> None:
    text = "kind: A\nbase: &base {cpu: 1}\npods: [{<<: *base, memory: 2}, *base]"
    [value] = parse_text(text, "file")
    assert value["pods"] == [{"cpu": 1, "memory": 2}, {"cpu": 1}]


def test_a_large_text_without_aliases_is_read() -> None:
    items = ", ".join(["1"] * 20_000)
    [value] = parse_text(f"{{kind: A, values: [{items}]}}", "file")
    assert len(value["values"]) == 20_000


SCALARS: dict[str, object] = {
    "12:30": "12:30",
    "1:30:00.5": "1:30:00.5",
    "2026-01-01": "2026-01-01",
    "3e4": 30_000.0,
    "-1.5E+3": -1500.0,
    ".5e1": 5.0,
    "1_000": 1000,
    "0x10": 16,
    "010": 8,
    "-7": -7,
    "0": 0,
    "1.5": 1.5,
    "1.": 1.0,
    ".5": 0.5,
    "1.5G": "1.5G",
    "100G": "100G",
    "e5": "e5",
    "0.1.2": "0.1.2",
    "yes": True,
    "off": False,
    "~": None,
}


@pytest.mark.parametrize("text", SCALARS)
def test_a_plain_scalar_has_the_type_that_kubernetes_gives_it(text: str) -> None:
    [value] = parse_text(f"kind: A\nvalue: {text}", "file")
    assert value["value"] == SCALARS[text]
    assert type(value["value"]) is type(SCALARS[text])


def test_empty_documents_are_skipped_and_lists_are_expanded_in_order() -> None:
    text = (
        "---\n---\nkind: A\n---\n# nothing\n---\nkind: BList\nitems: [{kind: B}, {kind: C}]\n---\n"
    )
    assert [value["kind"] for value in parse_text(text, "file")] == ["A", "B", "C"]


WRONG_HEADS = {
    "apiVersion: pretrain.dev/v2": (
        "apiVersion: pretrain.dev/v1alpha1",
        "apiVersion: pretrain.dev/v2",
    ),
    "kind: there is no Thing": ("kind: ComputeProfile", "kind: Thing"),
    "metadata.name: is required": ("{name: nodes}", "{name: 7}"),
    "spec: is required, and a map": ("spec: {}", "spec: {1: 2}"),
}


@pytest.mark.parametrize("want", WRONG_HEADS)
def test_a_wrong_head_names_the_file_and_the_field(want: str, tmp_path: Path) -> None:
    path = tmp_path / "nodes.yaml"
    path.write_text((HEAD + "spec: {}").replace(*WRONG_HEADS[want]), encoding="utf-8")
    with pytest.raises(InvalidManifest) as refused:
        read_manifests([str(path)])
    [problem] = refused.value.problems
    assert problem.startswith(f"{path}: {want}")


def test_all_problems_of_a_head_are_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "nodes.yaml"
    path.write_text("apiVersion: pretrain.dev/v2\nkind: Thing\n", encoding="utf-8")
    with pytest.raises(InvalidManifest) as refused:
        read_manifests([str(path)])
    assert len(refused.value.problems) == 4


def test_a_folder_means_its_manifests_in_all_folders_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.yml", "a.json", "deep/c.yaml", "notes.txt"):
        text = HEAD.replace("nodes", Path(name).stem) + "spec: {}\n"
        if name.endswith("json"):
            text = json.dumps(yaml.safe_load(text))
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert [document.name for document in read_manifests([str(tmp_path)])] == ["a", "b", "c"]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"kind: \x80"])
def test_bytes_that_are_no_text_are_refused_with_the_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "binary.yaml"
    path.write_bytes(content)
    with pytest.raises(InvalidManifest, match=r"binary\.yaml: is not UTF-8"):
        read_manifests([str(path)])


def test_a_manifest_of_another_group_is_not_ours_whatever_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("apiVersion: [pretrain.dev/v1alpha1]\nkind: PretrainJob\n", encoding="utf-8")
    assert read_manifests([str(path)]) == ()


JUNK = [
    "!!binary /w==",
    "!!set {a, b}",
    "!!timestamp 2001-01-01",
    "!!omap [a: 1]",
    "{1: 2, null: 3, true: 4}",
    "[[], {}]",
    '"\\ud800\\0\\n"',
    "[llama3-8b]",
    "-9223372036854775808",
    "18446744073709551615",
    "1.0e308",
    '"[/bold] [red]x"',
    '""',
    "null",
    "true",
    "9999999999d",
]
"""YAML of values that no field expects."""


def _paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    below = [found for key, inner in items for found in _paths(inner, (*path, key))]
    return [path, *below] if path else below


def _with_junk(kind: str, draw: st.DataObject) -> str:
    body = make_body(kind, "thing")
    del body["metadata"]["uid"], body["metadata"]["resourceVersion"]
    *parents, last = draw.draw(st.sampled_from(_paths(body)))
    target: Any = body
    for key in parents:
        target = target[key]
    target[last] = "JUNK"
    return yaml.safe_dump(body).replace("JUNK", draw.draw(st.sampled_from(JUNK)))


@settings(max_examples=150)
@given(kind=st.sampled_from([kind.name for kind in KINDS]), data=st.data())
def test_no_value_of_any_field_makes_a_command_raise(kind: str, data: st.DataObject) -> None:
    text = _with_junk(kind, data)
    command = data.draw(st.sampled_from(["plan", "validate"]))
    output = data.draw(st.sampled_from(["table", "json", "yaml"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO(text))
        patch.setattr("sys.stdout", io.StringIO())
        patch.setattr("sys.stderr", io.StringIO())
        code = main([command, "-f", "-", "-o", output])
    assert code in (ACCEPTED, REFUSED, UNUSABLE)


def test_a_name_is_printed_as_it_stands_not_as_markup() -> None:
    body = make_body("PretrainJob", "thing")
    body["metadata"]["name"] = "[/bold] [red]x :smile:"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO(yaml.safe_dump(body)))
        patch.setattr("sys.stdout", out := io.StringIO())
        assert main(["validate", "-f", "-"]) == REFUSED
    assert "[/bold] [red]x :smile:" in out.getvalue()


def test_files_of_a_folder_that_are_no_manifests_are_skipped_with_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "values.yaml").write_text("replicas: 2\n")
    template = "{{- if x }}\napiVersion: pretrain.dev/v1alpha1\n{{- end }}"
    (tmp_path / "chart.yaml").write_text(template)
    (tmp_path / "run.yaml").write_text(HEAD + "spec: {}")
    (document,) = read_manifests([str(tmp_path)])
    assert document.origin.endswith("run.yaml")
    noted = capsys.readouterr().err
    assert noted.count("note: skipped: ") == 2
    with pytest.raises(InvalidManifest, match="it has no kind"):
        read_manifests([str(tmp_path / "values.yaml")])


def test_a_broken_manifest_of_ours_is_not_skipped(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(HEAD + "spec: {a: [}")
    with pytest.raises(InvalidManifest, match="is not valid YAML"):
        read_manifests([str(tmp_path)])


def test_an_unknown_field_beside_the_spec_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(HEAD + "spec: {}\nx-common: 1")
    with pytest.raises(InvalidManifest, match="x-common: there is no such field"):
        read_manifests([str(path)])


def test_an_error_is_json_where_json_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "-f", "nothing.yaml", "-o", "json"]) == UNUSABLE
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {
        "errors": ["nothing.yaml: cannot be read: No such file or directory"]
    }
