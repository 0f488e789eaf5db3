"""Options of the command line: wrong ones are named, right ones change the plan."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders import make_body, ready_status
from preset_runs import preset_run
from pretrain_api.profiles import DEVICES
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_operator.cli.main import ACCEPTED, REFUSED, UNUSABLE, main
from pretrain_operator.cli.presets import profile_manifests
from pretrain_operator.planner.resource_plan import plan_resources

SUGGEST = {"--accelerator": "h100", "--nodes": "1", "--days": "5", "--tokens": "20G"}
RUN: dict[str, Any] = {
    "model": {"preset": "llama3-8b"},
    "data": {"datasetRef": {"name": "blocks"}},
    "parallelism": {"nodes": 4},
    "training": {"tokens": "100G", "sequenceLength": 8192, "globalBatchSize": 512},
    "checkpoint": {"uri": "s3://checkpoints/run"},
}
NODES = {"accelerator": {"name": "h100", "perNode": 8}}


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Return a function that writes objects to one file and returns its path."""

    def write_objects(*bodies: dict[str, Any]) -> str:
        path = tmp_path / "objects.yaml"
        path.write_text(yaml.safe_dump_all(bodies), encoding="utf-8")
        return str(path)

    return write_objects


def run(spec: dict[str, Any], name: str = "run") -> dict[str, Any]:
    """Return a PretrainJob."""
    return make_body("PretrainJob", name, spec=spec)


def nodes(**metadata: Any) -> dict[str, Any]:
    """Return the default ComputeProfile."""
    annotations = {"pretrain.dev/is-default-profile": "true"}
    metadata = {"annotations": annotations, **metadata}
    return make_body("ComputeProfile", "nodes", spec=NODES, metadata=metadata)


WRONG_NODES = {
    "no device": (["--per-node", "0"], "--per-node.perNode: 0: "),
    "fewer than no device": (["--per-node", "-1"], "perNode: -1: "),
    "more devices than a node may have": (["--per-node", "257"], "perNode: 257: "),
    "a long name": (["--accelerator", "x" * 64], "at most 63 characters"),
}


@pytest.mark.parametrize("command", ["plan", "validate"])
@pytest.mark.parametrize("name", WRONG_NODES)
def test_nodes_that_cannot_be_are_refused_with_the_option(
    command: str, name: str, write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    options, want = WRONG_NODES[name]
    assert main([command, "-f", write(run(RUN)), *options]) == UNUSABLE
    shown = capsys.readouterr()
    assert shown.err.startswith("error: --accelerator, --per-node")
    assert want in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("devices", [257, 10**6, 2**63 - 1])
@pytest.mark.parametrize("profiles", [[], [nodes()]], ids=["no profile", "a profile"])
def test_more_devices_of_a_node_than_there_may_be_are_refused(
    devices: int, profiles: list[Any], write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The search for a layout would try all divisors of the number, for hours."""
    spec = {**RUN, "parallelism": {"nodes": 65536, "gpusPerNode": devices}}
    assert main(["plan", "-f", write(run(spec), *profiles)]) == REFUSED
    assert f"error: spec.parallelism.gpusPerNode: {devices}: " in capsys.readouterr().out


WRONG_SUGGESTIONS = {
    "an unknown device": ({"--accelerator": "abacus"}, "--accelerator: 'abacus' is not known"),
    "no nodes": ({"--nodes": "0"}, "use --nodes of at least 1"),
    "no days": ({"--days": "0"}, "--days above 0"),
    "days that are no number": ({"--days": "nan"}, "--days above 0"),
    "short sequences": ({"--sequence-length": "7"}, "--sequence-length of at least 8"),
    "no quantity": ({"--tokens": "many"}, "--tokens: 'many' is not a quantity"),
    "too many tokens": ({"--tokens": "1001P"}, "--tokens: "),
    "negative tokens": ({"--tokens": "-1"}, "--tokens: '-1' is not a quantity"),
}


@pytest.mark.parametrize("name", WRONG_SUGGESTIONS)
def test_a_wrong_option_of_suggest_is_named(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    changes, want = WRONG_SUGGESTIONS[name]
    options = [f"{option}={value}" for option, value in {**SUGGEST, **changes}.items()]
    assert main(["suggest", *options]) == UNUSABLE
    assert want in capsys.readouterr().err


def test_all_wrong_options_of_suggest_are_named_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = {"--accelerator": "abacus", "--nodes": "0", "--days": "1", "--tokens": "many"}
    assert main(["suggest", *(f"{name}={value}" for name, value in wrong.items())]) == UNUSABLE
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_too_little_time_for_any_size_is_a_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    options = [f"{name}={value}" for name, value in {**SUGGEST, "--days": "0.0001"}.items()]
    assert main(["suggest", *options]) == REFUSED
    assert "use more nodes or days" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [[], ["plan", "-o", "xml"], ["suggest"], ["destroy"], ["validate", "--per-node", "x"]],
)
def test_a_command_line_that_cannot_be_parsed_exits_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == UNUSABLE
    assert "usage: kubectl pretrain" in capsys.readouterr().err


def test_a_plan_needs_a_run_but_validate_takes_any_kind(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(nodes())
    assert main(["validate", "-f", path]) == ACCEPTED
    assert main(["plan", "-f", path]) == UNUSABLE
    assert "there is no PretrainJob among the manifests" in capsys.readouterr().err


def test_one_refused_object_of_several_refuses_them_all(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {**RUN, "parallelism": {"nodes": 1, "gpusPerNode": 8, "tensor": 3}}
    assert main(["validate", "-f", write(nodes(), run(RUN, "good"), run(wrong, "bad"))]) == REFUSED
    shown = capsys.readouterr().out
    assert "PretrainJob/good: accepted" in shown
    assert "PretrainJob/bad: refused" in shown


def test_several_files_are_one_set_of_manifests(
    tmp_path: Path, write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = tmp_path / "nodes.json"
    profile.write_text(json.dumps(nodes()), encoding="utf-8")
    assert main(["plan", "-f", write(run(RUN)), "-f", str(profile), "-o", "json"]) == ACCEPTED
    [result] = json.loads(capsys.readouterr().out)
    assert result["plan"]["worldSize"] == 32
    assert not [line for line in result["unchecked"] if "profile" in line.lower()]


def test_errors_come_before_warnings_whatever_their_order(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    training = {**RUN["training"], "optimizer": {"learningRate": 3.0}, "globalBatchSize": 100}
    spec = {**RUN, "training": training, "parallelism": {"nodes": 4, "tensor": 2}}
    assert main(["validate", "-f", write(nodes(), run(spec))]) == REFUSED
    lines = capsys.readouterr().out.splitlines()
    labels = [line.partition(":")[0] for line in lines if line.startswith(("error:", "warning:"))]
    assert labels == sorted(labels)
    assert set(labels) == {"error", "warning"}


def test_text_of_a_manifest_is_never_read_as_markup(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = {**RUN, "checkpoint": {"uri": "[bold]s3[/bold]://x"}}
    assert main(["validate", "-f", write(run(spec))]) == REFUSED
    assert "[bold]s3[/bold]://x" in capsys.readouterr().out


def test_a_dataset_among_the_manifests_is_held_against_the_run(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = make_body("TokenDataset", "blocks")
    assert main(["validate", "-f", write(nodes(), run(RUN), dataset), "-o", "json"]) == REFUSED
    results = json.loads(capsys.readouterr().out)
    [problems] = [result["problems"] for result in results if result["kind"] == "PretrainJob"]
    messages = {problem["rule"]: problem["message"] for problem in problems}
    assert (
        "8192 is not the sequenceLength of TokenDataset blocks, 128"
        in (messages["dataset-sequence"])
    )
    assert "100000000000 is more than the 1000000 tokens" in messages["dataset-tokens"]


def test_a_complete_dataset_gives_its_vocabulary(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = {"sequenceLength": 8192, "vocabularySize": 32_001}
    spec = {**make_body("TokenDataset")["spec"], "sequenceLength": 8192, "tokens": "100G"}
    status = ready_status("blocks", summary=summary)
    dataset = make_body("TokenDataset", "blocks", spec=spec, status=status)
    assert main(["plan", "-f", write(nodes(), run(RUN), dataset), "-o", "json"]) == ACCEPTED
    [result] = json.loads(capsys.readouterr().out)
    assert result["plan"]["paddedVocabularySize"] == 32_128
    assert not [note for note in result["notes"] if "assumed" in note]


def test_an_explanation_is_given_for_each_run(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(nodes(), run(RUN, "a"), run({**RUN, "model": {"preset": "llama3-70b"}}, "b"))
    assert main(["plan", "-f", path, "--explain", "tensor=8,pipeline=2"]) == ACCEPTED
    lines = capsys.readouterr().out.splitlines()
    assert [line.startswith("tensor 8, pipeline 2: ") for line in lines] == [True, True]


def test_a_run_of_invalid_types_cannot_be_explained(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = {**RUN, "parallelism": {"nodes": "four"}}
    assert main(["plan", "-f", write(run(spec)), "--explain", "tensor=8"]) == UNUSABLE
    assert "spec.parallelism.nodes: 'four'" in capsys.readouterr().err


@pytest.mark.parametrize("manifest", profile_manifests(), ids=lambda m: m["metadata"]["name"])
def test_a_printed_profile_plans_a_small_model(manifest: dict[str, Any]) -> None:
    profile = ComputeProfileSpec.model_validate(manifest["spec"])
    training = {"sequenceLength": 1024, "globalBatchSize": 64, "recompute": "full"}
    plan = plan_resources(preset_run({"nodes": 4}, "llama3.2-1b", **training), profile)
    assert plan.status is not None
    assert plan.status.world_size == 4 * profile.accelerator.per_node
    assert plan.status.predicted_step_seconds
    assert (plan.status.memory_per_gpu.limit is None) == (profile.accelerator.name == "cpu")


def test_each_printed_profile_has_a_name_of_its_own() -> None:
    names = [manifest["metadata"]["name"] for manifest in profile_manifests()]
    assert len(set(names)) == len(DEVICES)


def test_a_device_that_is_not_known_is_refused_with_those_that_are(
    write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("plan", "validate"):
        assert main([command, "-f", write(run(RUN)), "--accelerator", "mi300x"]) == UNUSABLE
        assert "'mi300x' is not known; use one of a100-40gb, " in capsys.readouterr().err


def test_suggestions_are_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    options = [f"{name}={value}" for name, value in SUGGEST.items()]
    assert main(["suggest", *options, "-o", "json"]) == ACCEPTED
    largest, *_ = json.loads(capsys.readouterr().out)
    assert set(largest) >= {"parameters", "model", "parallelism", "tokens", "days"}
    assert largest["tokensPerParameter"] == largest["tokens"] / largest["parameters"]
