"""Answer an AdmissionReview: a pure function of the object and of what else exists."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from pretrain_api.kinds import KINDS
from pretrain_api.problems import InvalidManifest, parse
from pretrain_api.rules import Problem, Severity, check, check_change
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_api.v1alpha1.tokendataset import TokenDatasetSpec, TokenDatasetStatus
from pretrain_api.v1alpha1.tokenizer import TokenizerSpec
from pretrain_operator.plan.admission import dataset_problems, name_problems
from pretrain_operator.plan.pretraining import plan_pretraining

Object = Mapping[str, Any]

_SPECS = {kind.name: kind.spec for kind in KINDS}
_LONGEST = 120
"""Characters of a warning that kubectl shows whole."""


@dataclass(frozen=True)
class World:
    """Other objects, by namespace (empty for cluster-wide ones) and name."""

    profiles: Mapping[str, Object] = field(default_factory=dict)
    datasets: Mapping[tuple[str, str], Object] = field(default_factory=dict)
    tokenizers: Mapping[tuple[str, str], Object] = field(default_factory=dict)


def answer_review(review: Mapping[str, Any], world: World) -> dict[str, Any]:
    """Return the AdmissionReview that answers `review`.

    Raises:
        InvalidManifest: If `review` is no AdmissionReview.
    """
    request = review.get("request")
    if not isinstance(request, Mapping) or not isinstance(request.get("uid"), str):
        raise InvalidManifest(["request: is required, with a uid"])
    errors, warnings = _judge(request, world)
    response: dict[str, Any] = {"uid": request["uid"], "allowed": not errors}
    if errors:
        reason = "; ".join(errors)
        response["status"] = {"code": 422, "reason": "Invalid", "message": reason}
    if warnings:
        response["warnings"] = warnings
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def _judge(request: Mapping[str, Any], world: World) -> tuple[list[str], list[str]]:
    kind = _text(request.get("kind"), "kind")
    model = _SPECS.get(kind)
    value = request.get("object")
    if model is None or not isinstance(value, Mapping) or request.get("operation") == "DELETE":
        return [], []
    problems = check(kind, _map(value.get("spec")))
    if any(problem.rule == "schema" for problem in problems):
        return _split(problems)
    spec = parse(model, _map(value.get("spec")))
    errors = name_problems(_text(value.get("metadata"), "name"))
    problems += _changes(kind, spec, request.get("oldObject"))
    # An object that exists has been planned; what it was bound to cannot change.
    if isinstance(spec, PretrainJobSpec) and request.get("operation") != "UPDATE":
        namespace = str(request.get("namespace") or "")
        problems, more = _run_problems(spec, problems, namespace, world)
        errors += more
    refused, warnings = _split(problems)
    return errors + refused, warnings


def _changes(kind: str, spec: BaseModel, old: object) -> list[Problem]:
    if not isinstance(old, Mapping):
        return []
    try:
        before = _SPECS[kind].model_validate(_map(old.get("spec")))
    except ValidationError:
        return []  # made under older rules: any change is for the better
    return check_change(kind, before, spec)


def _run_problems(
    spec: PretrainJobSpec, problems: list[Problem], namespace: str, world: World
) -> tuple[list[Problem], list[str]]:
    dataset = world.datasets.get((namespace, spec.data.dataset_ref.name))
    errors: list[str] = []
    vocabulary = unique = None
    if dataset is None:
        problems = [
            *problems,
            _absent("data.datasetRef", "TokenDataset", spec.data.dataset_ref.name),
        ]
    else:
        summary = _dataset_status(dataset).summary
        vocabulary = _vocabulary(dataset, namespace, world)
        if summary is not None:
            errors = dataset_problems(spec, summary)
            unique = sum(part.unique_tokens for part in summary.parts) or None
            vocabulary = summary.vocabulary_size
            problems = [*problems, *_budget(spec, summary.tokens)]
    profile, missing = _profile(spec, world)
    problems = [*problems, *missing]
    if profile is None or errors:
        return problems, errors
    planned = plan_pretraining(spec, profile, vocabulary, unique)
    seen = {problem.rule for problem in problems}
    problems += [problem for problem in planned.problems if problem.rule not in seen]
    return problems, errors


def _budget(spec: PretrainJobSpec, tokens: int) -> list[Problem]:
    if spec.training.tokens <= tokens:
        return []
    message = (
        f"{spec.training.tokens} is more than the {tokens} tokens of TokenDataset"
        f" {spec.data.dataset_ref.name}; its stream would be read again"
    )
    return [Problem("dataset-tokens", "spec.training.tokens", message, Severity.WARNING)]


def _profile(
    spec: PretrainJobSpec, world: World
) -> tuple[ComputeProfileSpec | None, list[Problem]]:
    if spec.profile_ref is None:
        values = list(world.profiles.values())
        return (_parsed(values[0]) if len(values) == 1 else None), []
    value = world.profiles.get(spec.profile_ref.name)
    if value is None:
        return None, [_absent("profileRef", "ComputeProfile", spec.profile_ref.name)]
    return _parsed(value), []


def _parsed(value: Object) -> ComputeProfileSpec | None:
    try:
        return parse(ComputeProfileSpec, _map(value.get("spec")))
    except InvalidManifest:
        return None


def _absent(path: str, kind: str, name: str) -> Problem:
    """A warning, not an error: objects of one `kubectl apply` come in any order."""
    message = f"there is no {kind} {name!r} yet; the run waits for it"
    return Problem("absent", f"spec.{path}", message, Severity.WARNING)


def _dataset_status(dataset: Object) -> TokenDatasetStatus:
    try:
        return TokenDatasetStatus.model_validate(_map(dataset.get("status")), extra="ignore")
    except ValidationError:
        return TokenDatasetStatus()


def _vocabulary(dataset: Object, namespace: str, world: World) -> int | None:
    try:
        name = parse(TokenDatasetSpec, _map(dataset.get("spec"))).tokenizer_ref.name
        tokenizer = world.tokenizers.get((namespace, name))
        if tokenizer is None:
            return None
        return parse(TokenizerSpec, _map(tokenizer.get("spec"))).vocabulary_size
    except InvalidManifest:
        return None


def _split(problems: list[Problem]) -> tuple[list[str], list[str]]:
    errors = [str(problem) for problem in problems if problem.is_refusal]
    advice = [str(problem) for problem in problems if not problem.is_refusal]
    return errors, [
        line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…" for line in advice
    ]


def _map(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _text(value: object, key: str) -> str:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, str) else ""
