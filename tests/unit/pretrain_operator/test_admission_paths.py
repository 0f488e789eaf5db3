"""Command line, webhook and controller admit a run with the same result and the same messages."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from builders import NOW, make_body, ready_status
from pretrain_api.meta import DEFAULT_PROFILE_ANNOTATION
from pretrain_operator.admission.runs import AdmissionResult, admission_request, admit
from pretrain_operator.cli.main import main
from pretrain_operator.observed.objects import ListedObjects, parse_object
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.states import Phase
from pretrain_operator.plan.runs.pretrainjob import plan_pretrainjob
from pretrain_operator.webhook.planning import Planning
from pretrain_operator.webhook.server import answer_review

Json = dict[str, Any]

RUN: Json = {
    "model": {"preset": "llama3-8b"},
    "data": {"datasetRef": {"name": "blocks"}},
    "parallelism": {"nodes": 2, "tensor": 2, "pipeline": 2},
    "training": {
        "tokens": "100G",
        "sequenceLength": 4096,
        "globalBatchSize": 512,
        "microBatchSize": 4,
    },
    "checkpoint": {"uri": "s3://checkpoints/run"},
}
SUMMARY = {"sequenceLength": 4096, "vocabularySize": 64_000, "parts": [{"uniqueTokens": 10**9}]}


def profile(name: str, per_node: int = 8, default: bool = False, **accelerator: Any) -> Json:
    """Return a ComputeProfile."""
    annotations = {DEFAULT_PROFILE_ANNOTATION: "true"} if default else {}
    device = {"name": "h100", "perNode": per_node, **accelerator}
    metadata = {"annotations": annotations}
    return make_body("ComputeProfile", name, metadata=metadata, spec={"accelerator": device})


def dataset(status: Json | None = None, **changes: Any) -> Json:
    """Return the TokenDataset that the run reads."""
    spec = {
        "tokenizerRef": {"name": "tokens"},
        "mixture": [{"pipelineRef": {"name": "web"}}],
        "tokens": "100G",
        "sequenceLength": 4096,
        "output": {"uri": "s3://corpus/blocks"},
    }
    return make_body("TokenDataset", "blocks", spec={**spec, **changes}, status=status or {})


def tokenizer(size: int = 64_000) -> Json:
    """Return the Tokenizer of the dataset."""
    spec = {
        "corpus": {"pipelineRef": {"name": "web"}},
        "vocabularySize": size,
        "output": {"uri": "s3://corpus/tokens"},
    }
    return make_body("Tokenizer", "tokens", spec=spec)


H100 = profile("h100")


@dataclass(frozen=True)
class Case:
    """A run, the other objects, and what the messages have to contain."""

    run: Json
    others: tuple[Json, ...]
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    name: str = "run"


def changed(part: str, **changes: Any) -> Json:
    """Return the run with changes to one part of its spec."""
    return {**RUN, part: {**RUN.get(part, {}), **changes}}


ALL = (H100, dataset(), tokenizer())
CASES = {
    "a good run is accepted": Case(RUN, ALL),
    "a run without degrees is accepted": Case({**RUN, "parallelism": {"nodes": 2}}, ALL),
    "all rules at once": Case(
        {**RUN, "parallelism": {"nodes": 2, "tensor": 3, "pipeline": 5}},
        ALL,
        errors=("spec.model.attentionHeads: ", "spec.parallelism.pipeline: "),
    ),
    "more devices than the profile has": Case(
        changed("parallelism", gpusPerNode=16),
        ALL,
        errors=("spec.parallelism.gpusPerNode: 16 is more than spec.accelerator.perNode = 8",),
    ),
    "the default profile counts": Case(
        changed("parallelism", gpusPerNode=8),
        (profile("large"), profile("small", per_node=4, default=True), *ALL[1:]),
        errors=("8 is more than spec.accelerator.perNode = 4",),
    ),
    "two default profiles": Case(
        RUN,
        (profile("one", default=True), profile("two", default=True), *ALL[1:]),
        missing=("the ComputeProfiles one, two all have the annotation",),
    ),
    "no default among profiles": Case(
        RUN,
        (profile("one"), profile("two"), *ALL[1:]),
        missing=("spec.profileRef is not set: ",),
    ),
    "a profile that does not exist": Case(
        {**RUN, "profileRef": {"name": "absent"}},
        ALL,
        missing=("spec.profileRef.name: there is no ComputeProfile 'absent'; there are h100;",),
    ),
    "no other objects": Case(
        changed("training", globalBatchSize=0),
        (),
        errors=("spec.training.globalBatchSize: ",),
    ),
    "rules hold without a profile": Case(
        changed("parallelism", gpusPerNode=8, tensor=3),
        (),
        errors=("spec.model.attentionHeads: ",),
        missing=("there is no ComputeProfile at all", "there is no TokenDataset 'blocks'"),
    ),
    "no layout divides the batch": Case(
        {**changed("training", globalBatchSize=7), "parallelism": {"nodes": 3, "gpusPerNode": 8}},
        ALL[1:],
        errors=("no layout of 24 devices keeps every rule",),
        missing=("spec.profileRef is not set: ",),
    ),
    "sequences of another length": Case(
        changed("training", sequenceLength=8192),
        ALL,
        errors=("8192 is not the sequenceLength of TokenDataset blocks, 4096; use 4096",),
    ),
    "a dataset error hides no memory error": Case(
        {**changed("training", sequenceLength=8192), "model": {"preset": "llama3-405b"}},
        ALL,
        errors=(
            "is not the sequenceLength of TokenDataset",
            "predicted on the device that needs most",
        ),
    ),
    "fewer ids than the tokenizer has": Case(
        changed("model", vocabularySize=1024),
        ALL,
        errors=("1024 is less than the tokenizer's 64000 ids; use 64000 or more",),
    ),
    "a tokenizer that does not exist": Case(
        RUN, ALL[:2], missing=("there is no Tokenizer 'tokens'",)
    ),
    "more tokens than the dataset has": Case(
        changed("training", tokens="200G"),
        ALL,
        warnings=("200000000000 is more than the 100000000000 tokens of TokenDataset blocks",),
    ),
    "many epochs over the data": Case(
        RUN,
        (H100, dataset(ready_status("blocks", summary=SUMMARY))),
        warnings=("100000000000 tokens are 100.0 epochs over 1000000000 different ones",),
    ),
    "a dataset that is invalid": Case(
        RUN, (H100, dataset(tokens="many"), tokenizer()), missing=("TokenDataset blocks is inval",)
    ),
    "a feature that the trainer does not have yet": Case(
        changed("training", precision="fp8"), ALL, errors=("spec.training.precision: ",)
    ),
    "a name that is no label": Case(RUN, ALL, errors=("metadata.name: 'xxxxxxxx",), name="x" * 64),
    "a field that does not exist": Case(
        changed("training", tokenz=1), ALL, errors=("spec.training.tokenz: there is no such",)
    ),
}

Messages = tuple[str, list[str]]
"""All errors in one message; the warnings, and what was not checked."""


def by_command_line(case: Case, folder: Path, read: Callable[[], str]) -> Messages:
    """Return the messages of `kubectl pretrain validate` for one file with all objects."""
    run = make_body("PretrainJob", case.name, spec=case.run)
    path = folder / "all.yaml"
    path.write_text(yaml.safe_dump_all([*case.others, run]), encoding="utf-8")
    main(["validate", "-f", str(path), "-o", "json"])
    [result] = [item for item in json.loads(read()) if item["kind"] == "PretrainJob"]
    lines = [(p["severity"], f"{p['field']}: {p['message']}") for p in result["problems"]]
    errors = [line for severity, line in lines if severity != "warning"]
    assert result["accepted"] is not bool(errors)
    warnings = [line for severity, line in lines if severity == "warning"]
    return "; ".join(errors), warnings + result["unchecked"]


def by_webhook(case: Case) -> Messages:
    """Return the messages of the response to the API server."""
    objects = ListedObjects(parse_object(body["kind"], body) for body in case.others)
    request = {
        "uid": "1234",
        "kind": {"kind": "PretrainJob"},
        "operation": "CREATE",
        "namespace": "default",
        "object": {"metadata": {"name": case.name}, "spec": case.run},
    }
    with ThreadPoolExecutor(1) as threads:
        planning = Planning(lambda: threads, max_pending=1, timeout_seconds=60.0)
        review = asyncio.run(answer_review({"request": request}, objects, planning))
    response = review["response"]
    errors = response["status"]["message"] if "status" in response else ""
    assert response["allowed"] is not bool(errors)
    return errors, response.get("warnings", [])


def by_controller(case: Case) -> Messages:
    """Return the messages that the operator would write into the status."""
    related = ListedObjects(parse_object(body["kind"], body) for body in case.others)
    owner = parse_object("PretrainJob", make_body("PretrainJob", case.name, spec=case.run))
    plan = plan_pretrainjob(Observation(owner, related=related), NOW)
    errors = plan.state.message if plan.state.phase is Phase.INVALID else ""
    request = admission_request(owner.key, owner.spec, related)
    result = request if isinstance(request, AdmissionResult) else admit(request)
    if plan.prediction is not None:
        assert plan.prediction.warnings == result.warnings
    return errors, [*result.warnings, *result.missing]


@pytest.mark.parametrize("name", CASES)
def test_all_admission_paths_give_the_same_messages(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    errors, hints = by_controller(case)
    assert by_webhook(case) == (errors, hints)
    assert by_command_line(case, tmp_path, lambda: capsys.readouterr().out) == (errors, hints)
    for part in case.errors:
        assert part in errors
    for part in (*case.warnings, *case.missing):
        assert any(part in line for line in hints), hints
    assert bool(errors) == bool(case.errors), errors
    assert bool(case.missing) == any("checked" in line for line in hints)
