"""The command line: files, standard input, exit codes, JSON and YAML output."""

import contextlib
import io
import json
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain_api.problems import InvalidManifest, parse
from pretrain_api.profiles import DEVICES
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_operator.cli.main import ACCEPTED, REFUSED, UNUSABLE, main
from pretrain_operator.cli.manifests import parse_text

ROOT = Path(__file__).resolve().parents[4]
WRONG = ROOT / "tests" / "wrong_manifests"
JOB = """\
apiVersion: pretrain.dev/v1alpha1
kind: ComputeProfile
metadata: {name: h100x8}
spec: {accelerator: {name: h100, perNode: 8}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: other}
---
apiVersion: pretrain.dev/v1alpha1
kind: PretrainJob
metadata: {name: run}
spec:
  model: {preset: llama3-8b}
  data: {datasetRef: {name: blocks}}
  parallelism: {nodes: 4}
  training: {tokens: 100G, sequenceLength: 8192, globalBatchSize: 512,
             optimizer: {learningRate: 3e-4}}
  checkpoint: {uri: "s3://checkpoints/run"}
"""


@pytest.fixture
def job(tmp_path: Path) -> str:
    path = tmp_path / "job.yaml"
    path.write_text(JOB, encoding="utf-8")
    return str(path)


def test_a_plan_is_shown_with_the_memory_of_each_stage(
    job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "-f", job]) == ACCEPTED
    shown = capsys.readouterr().out
    for word in ("PretrainJob/run: accepted", "GiB", "step time", "MFU", "Best layouts", "days"):
        assert word in shown


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_a_plan_is_printed_as_json_or_yaml(
    job: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "-f", job, "-o", output]) == ACCEPTED
    text = capsys.readouterr().out
    [result] = json.loads(text) if output == "json" else yaml.safe_load(text)
    assert result["accepted"] is True
    assert result["plan"]["worldSize"] == 32


def test_standard_input_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(JOB))
    assert main(["validate", "-f", "-"]) == ACCEPTED
    assert "ComputeProfile/h100x8: accepted" in capsys.readouterr().out


def test_every_wrong_manifest_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "-f", str(WRONG), "-o", "json"]) == REFUSED
    results = json.loads(capsys.readouterr().out)
    assert len(results) == len(list(WRONG.glob("*.yaml")))
    assert not [result["name"] for result in results if result["accepted"]]


def test_objects_that_are_not_among_the_manifests_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(JOB.split("---\n")[-1], encoding="utf-8")
    assert main(["validate", "-f", str(path), "--strict"]) == REFUSED
    assert main(["validate", "-f", str(path)]) == ACCEPTED
    shown = capsys.readouterr().out
    assert "not checked: spec.profileRef is not set: " in shown
    assert "not checked: spec.data.datasetRef.name: there is no TokenDataset 'blocks'" in shown
    assert main(["plan", "-f", str(path)]) == ACCEPTED
    assert "the devices of a node: 8 are assumed" in capsys.readouterr().out


def test_a_device_of_the_command_line_takes_precedence_over_a_profile(
    job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--accelerator", "rtx4090", "--per-node", "2"]
    assert main(["plan", "-f", job, "-o", "json", *options]) == REFUSED
    [result] = json.loads(capsys.readouterr().out)
    assert "no layout of 8 devices" in result["problems"][-1]["message"]


def test_warnings_refuse_only_with_the_option_strict(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(JOB.replace("3e-4", "3e+0"), encoding="utf-8")
    assert main(["validate", "-f", str(path)]) == ACCEPTED
    assert main(["validate", "-f", str(path), "--strict"]) == REFUSED


@pytest.mark.parametrize("command", ["plan", "validate"])
def test_a_run_that_the_trainer_cannot_run_yet_is_not_accepted(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "job.yaml"
    precision = "{precision: fp8, tokens: 100G"
    path.write_text(JOB.replace("{tokens: 100G", precision), encoding="utf-8")
    assert main([command, "-f", str(path)]) == REFUSED
    shown = capsys.readouterr().out
    assert "PretrainJob/run: not runnable yet" in shown
    assert "the trainer computes in bf16 or fp32 only" in shown
    assert ("step time" in shown) == (command == "plan"), "it can be planned nevertheless"


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_json_and_yaml_have_the_severity_of_what_is_not_runnable_yet(
    output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "job.yaml"
    precision = "{precision: fp8, tokens: 100G"
    path.write_text(JOB.replace("{tokens: 100G", precision), encoding="utf-8")
    assert main(["validate", "-f", str(path), "-o", output]) == REFUSED
    results = yaml.safe_load(capsys.readouterr().out)
    [result] = [result for result in results if result["kind"] == "PretrainJob"]
    assert result["accepted"] is False
    assert "notYet" in {problem["severity"] for problem in result["problems"]}


def test_a_layout_is_explained(job: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "-f", job, "--explain", "tensor=8"]) == ACCEPTED
    assert "slower than the best" in capsys.readouterr().out


def test_sizes_are_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["suggest", "--accelerator", "h100", "--nodes", "1", "--days", "5"]
    assert main([*arguments, "--tokens", "20G"]) == ACCEPTED
    assert " B " in capsys.readouterr().out


def test_profiles_of_all_known_devices_are_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles"]) == ACCEPTED
    manifests = list(yaml.safe_load_all(capsys.readouterr().out))
    assert len(manifests) == len(DEVICES)
    for manifest in manifests:
        parse(ComputeProfileSpec, manifest["spec"])


UNUSABLE_ARGUMENTS = {
    "no such file": ["validate", "-f", "/nonexistent.yaml"],
    "nothing to read": ["plan"],
    "no degree": ["plan", "-f", str(WRONG), "--explain", "size=8"],
    "unknown device": ["suggest", "--accelerator", "abacus", "--nodes", "1", "--days", "1"],
    "no time": ["suggest", "--accelerator", "h100", "--nodes", "1", "--days", "nan"],
}


@pytest.mark.parametrize("name", UNUSABLE_ARGUMENTS)
def test_unusable_arguments_have_their_own_exit_code(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(UNUSABLE_ARGUMENTS[name]) == UNUSABLE
    assert capsys.readouterr().err.startswith("error: ")


TEXTS = {
    "no YAML": "a: [",
    "no object": "- 1",
    "no kind": "apiVersion: pretrain.dev/v1alpha1",
    "a tab": "a:\n\tb: 1",
    "too deep": "[" * 5000,
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_is_no_manifest_is_refused(name: str) -> None:
    with pytest.raises(InvalidManifest):
        parse_text(TEXTS[name], "file")


def test_numbers_and_dates_are_read_as_kubernetes_reads_them() -> None:
    [value] = parse_text("kind: x\na: 3e-4\nb: 2026-01-01\nc: 1.5\nd: 1e3", "file")
    assert value["a"] == 0.0003
    assert value["b"] == "2026-01-01"
    assert value["d"] == 1000.0


@settings(deadline=None, max_examples=100)
@given(text=st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_no_text_makes_the_parser_raise_another_error(text: str) -> None:
    with contextlib.suppress(InvalidManifest):
        parse_text(text, "file")


def test_a_field_that_is_given_twice_is_refused_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(JOB.replace("{nodes: 4}", "\n    nodes: 4\n    nodes: 8"), encoding="utf-8")
    assert main(["validate", "-f", str(path)]) == UNUSABLE
    assert "line 18: the field 'nodes' is given twice" in capsys.readouterr().err


def test_a_field_of_a_merge_key_may_be_overridden() -> None:
    text = "kind: A\nbase: &b {x: 1, y: 2}\none: {<<: *b, y: 3}\ntwo: {<<: *b, x: 4}\n"
    (value,) = parse_text(text, "text")
    assert (value["one"], value["two"]) == ({"x": 1, "y": 3}, {"x": 4, "y": 2})


def test_a_name_may_be_generated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(JOB.replace("name: run}", "generateName: run-}"), encoding="utf-8")
    assert main(["validate", "-f", str(path)]) == ACCEPTED
    assert "PretrainJob/run-xxxxx: accepted" in capsys.readouterr().out


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() == version("pretrain-operator")
