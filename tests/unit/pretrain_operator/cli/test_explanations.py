"""Plans as people see them: explanations, stages, experts."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders import make_body
from pretrain_operator.cli.main import ACCEPTED, REFUSED, main

Json = dict[str, Any]
TRAINING = {"tokens": "100G", "sequenceLength": 4096, "globalBatchSize": 512}


def large_run(**changes: Any) -> Json:
    """Return a run of a published model on four nodes, as in a manifest."""
    spec = {
        "model": {"preset": "llama3-8b"},
        "data": {"datasetRef": {"name": "blocks"}},
        "parallelism": {"nodes": 4},
        "training": TRAINING,
        "checkpoint": {"uri": "s3://checkpoints/run"},
    }
    return make_body("PretrainJob", "run", spec={**spec, **changes})


@pytest.fixture
def manifests(tmp_path: Path) -> Any:
    """Write objects into a file, and return its name."""

    def write(*bodies: Json) -> str:
        path = tmp_path / "all.yaml"
        path.write_text(yaml.safe_dump_all(bodies), encoding="utf-8")
        return str(path)

    return write


def explained(
    capsys: pytest.CaptureFixture[str], degrees: str, *files: str, options: tuple[str, ...] = ()
) -> str:
    names = [argument for file in files for argument in ("-f", file)]
    assert main(["plan", *names, "--explain", degrees, *options]) == ACCEPTED
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("degrees", "want"),
    [
        pytest.param(
            "tensor=3", "tensor 3: no layout of 32 devices keeps every rule", id="illegal"
        ),
        pytest.param("tensor=3", "spec.model.attentionHeads: 32 is not divisible", id="the rule"),
        pytest.param("tensor=64", "no layout of 32 devices keeps every rule", id="too many"),
        pytest.param("pipeline=4,tensor=2", "% slower than the best", id="slower"),
        pytest.param("context=1000000000000", "no layout of 32 devices", id="absurd"),
    ],
)
def test_a_layout_is_explained_with_what_speaks_against_it(
    degrees: str, want: str, manifests: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    file = manifests(large_run())
    assert want in explained(capsys, degrees, file, options=("--accelerator", "h100"))


def test_a_layout_that_does_not_fit_is_explained_with_the_memory_it_needs(
    manifests: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    file = manifests(large_run(model={"preset": "llama3-70b"}))
    options = ("--accelerator", "rtx4090")
    text = explained(capsys, "tensor=8,pipeline=1", file, options=options)
    assert "legal layouts, none of which fits: the leanest needs" in text
    assert "GiB on the device that needs most" in text


def test_the_best_layout_is_told_to_be_the_best(
    manifests: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    file = manifests(large_run())
    given = ["-f", file, "--accelerator", "h100"]
    assert main(["plan", *given, "-o", "json"]) == ACCEPTED
    best = json.loads(capsys.readouterr().out)[0]["plan"]["parallelism"]
    names = ("tensor", "pipeline", "context")
    degrees = ",".join(f"{name}={best.get(name, 1)}" for name in names)
    text = explained(capsys, degrees, file, options=("--accelerator", "h100"))
    assert text.endswith("it is the best")


def test_a_device_that_nobody_knows_has_layouts_but_no_time(
    manifests: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    abacus = make_body(
        "ComputeProfile", "abacus", spec={"accelerator": {"name": "abacus", "perNode": 8}}
    )
    file = manifests(large_run(), abacus)
    text = explained(capsys, "tensor=2", file, options=())
    assert text.endswith("no time is predicted, the accelerator is unknown")


def test_a_plan_of_many_stages_shows_the_first_and_the_last(
    manifests: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = {"nodes": 4, "gpusPerNode": 8, "pipeline": 16, "tensor": 2}
    file = manifests(large_run(parallelism=layout))
    assert main(["plan", "-f", file, "--accelerator", "h100"]) == ACCEPTED
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "GiB of" in line]
    shown = [int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()]
    assert shown == [0, 1, 2, 3, 13, 14, 15]


def test_a_model_with_experts_shows_what_a_token_uses(
    manifests: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    model = {"preset": "llama3.2-1b", "experts": {"count": 8, "ffnHiddenSize": 1024}}
    assert main(["plan", "-f", manifests(large_run(model=model)), "--accelerator", "h100"]) == 0
    assert "used by a token" in capsys.readouterr().out


def test_experts_that_the_trainer_cannot_build_are_named(
    manifests: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    experts = {"count": 8, "ffnHiddenSize": 1024, "topK": 1}
    model = {"preset": "llama3.2-1b", "experts": experts}
    assert main(["plan", "-f", manifests(large_run(model=model)), "--accelerator", "h100"]) == (
        REFUSED
    )
    shown = " ".join(capsys.readouterr().out.split())
    assert "not runnable yet: spec.model.experts.topK" in shown
