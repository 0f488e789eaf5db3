"""Admit a run: the same result for the command line, the webhook and the controller.

Each of them only collects the related objects; all messages are written here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from pydantic import ValidationError

from pretrain_api.digests import digest
from pretrain_api.formulas.steps import steps_of
from pretrain_api.rules import Problem, Severity
from pretrain_api.v1alpha1.computeprofile import Accelerator, ComputeProfileSpec
from pretrain_api.v1alpha1.plan import PlanStatus
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.admission.objects import name_problems, object_problems, refusals
from pretrain_operator.admission.related_objects import DatasetInfo, RelatedObjects, related_objects
from pretrain_operator.observed.objects import Key, ObjectReader
from pretrain_operator.planner.planned_vocabulary import vocabulary_problems
from pretrain_operator.planner.resource_plan import plan_resources
from pretrain_operator.planner.to_status import with_steps


@dataclass(frozen=True, kw_only=True)
class AdmissionResult:
    """The decision on an object, before anything is created for it."""

    problems: tuple[Problem, ...] = ()
    """Errors, features that the trainer does not have yet, and warnings."""
    spec: PretrainJobSpec | None = None
    """With the degrees that the planner chose. `None` for other kinds, and for invalid types."""
    plan: PlanStatus | None = None
    """For `status.plan`. `None` if errors or a missing profile prevent planning."""
    missing: tuple[str, ...] = ()
    """What could not be checked, and why."""
    notes: tuple[str, ...] = ()
    """Hints for the user."""

    @property
    def errors(self) -> list[str]:
        """Return the problems for which the object is refused, one line each."""
        return refusals(self.problems)

    @property
    def warnings(self) -> list[str]:
        """Return the problems for which it is not refused, one line each."""
        return [str(problem) for problem in self.problems if not problem.is_refusal]


@dataclass(frozen=True, eq=False)
class AdmissionRequest:
    """A run to admit, with what it refers to. Equal requests have equal results."""

    name: str
    spec: PretrainJobSpec
    related: RelatedObjects

    @cached_property
    def digest(self) -> str:
        """Return a digest of all that the result depends on."""
        profile = self.related.profile
        # Without unset fields: a degree that is not set is left to the planner.
        models = (self.spec, profile) if profile else (self.spec,)
        texts = [model.model_dump_json(exclude_unset=True) for model in models]
        return digest(self.name, texts, repr(replace(self.related, profile=None)))

    def __eq__(self, other: object) -> bool:
        """Return whether both have the same content."""
        return isinstance(other, AdmissionRequest) and self.digest == other.digest

    def __hash__(self) -> int:
        """Return a hash, for memoisation."""
        return hash(self.digest)


def admission_request(
    key: Key,
    spec: Mapping[str, Any],
    objects: ObjectReader,
    nodes: ComputeProfileSpec | None = None,
) -> AdmissionRequest | AdmissionResult:
    """Return the request for a run; for other kinds, and for invalid types, the result itself.

    `nodes` take precedence over the run's profile.
    """
    if key.kind != "PretrainJob":
        return AdmissionResult(problems=object_problems(key.kind, key.name, spec))
    try:
        parsed = PretrainJobSpec.model_validate(dict(spec), strict=True)
    except ValidationError:
        return AdmissionResult(problems=object_problems(key.kind, key.name, spec))
    related = related_objects(parsed, key.namespace, objects, nodes)
    return AdmissionRequest(key.name, parsed, related)


@lru_cache(maxsize=256)
def admit(request: AdmissionRequest) -> AdmissionResult:
    """Return whether a run may start, with all problems at once.

    The search for the layout of a large run takes up to a second, so results are memoised: users
    apply a manifest repeatedly, and a run that waits for its data is reconciled often.
    """
    spec, related = request.spec, request.related
    profile = related.profile
    nodes = profile or _unknown_nodes(spec)
    if nodes is None:
        return admit_unplanned(request, _NO_DEVICES)
    unique = related.dataset.unique_tokens if related.dataset else None
    planned = plan_resources(spec, nodes, related.vocabulary, unique)
    problems = (
        *name_problems(request.name),
        *planned.problems,  # with those of the vocabulary, which memory and time depend on
        *_node_problems(spec, profile),
        *_dataset_problems(spec, related.dataset),
    )
    plan = planned.status if profile is not None else None
    if plan is not None:
        warnings = [str(p) for p in problems if p.severity is Severity.WARNING]
        plan = plan.model_copy(update={"warnings": warnings})
        spec = _with_layout(spec, plan)
    return AdmissionResult(
        problems=problems,
        spec=spec,
        plan=plan,
        missing=related.missing,
        notes=planned.notes,
    )


def admit_unplanned(request: AdmissionRequest, reason: str) -> AdmissionResult:
    """Return the result of all checks that need no plan; `reason` says why there is none."""
    spec, related = request.spec, request.related
    problems = (
        *object_problems("PretrainJob", request.name, spec),
        *_node_problems(spec, related.profile),
        *input_problems(spec, related),
    )
    return AdmissionResult(problems=problems, spec=spec, missing=(*related.missing, reason))


def keep_layout(spec: PretrainJobSpec, earlier: PlanStatus) -> AdmissionResult:
    """Return the result for a run that has started: its layout stays, its steps may increase."""
    plan = with_steps(earlier, steps_of(spec.training).count)
    return AdmissionResult(spec=_with_layout(spec, earlier), plan=plan)


_NO_DEVICES = "spec.parallelism.gpusPerNode: is not known, so no layout is checked"


def _unknown_nodes(spec: PretrainJobSpec) -> ComputeProfileSpec | None:
    """Return nodes of an unknown device, if the manifest gives the number of devices per node."""
    devices = spec.parallelism.gpus_per_node
    if devices is None:
        return None
    return ComputeProfileSpec(accelerator=Accelerator(name="unknown", per_node=devices))


def _node_problems(spec: PretrainJobSpec, profile: ComputeProfileSpec | None) -> list[Problem]:
    """Return an error if the run requests more devices per node than its profile has."""
    requested = spec.parallelism.gpus_per_node
    if profile is None or requested is None or requested <= profile.accelerator.per_node:
        return []
    available = profile.accelerator.per_node
    message = (
        f"{requested} is more than spec.accelerator.perNode = {available} of the ComputeProfile;"
        f" use at most {available}"
    )
    return [Problem("gpus-per-node", "spec.parallelism.gpusPerNode", message)]


def input_problems(spec: PretrainJobSpec, related: RelatedObjects) -> list[Problem]:
    """Return the problems of a run with the token blocks that it reads, or their tokenizer."""
    return [
        *_dataset_problems(spec, related.dataset),
        *vocabulary_problems(spec, related.vocabulary),
    ]


def _dataset_problems(spec: PretrainJobSpec, dataset: DatasetInfo | None) -> list[Problem]:
    """Return the problems of a run with the token blocks that it reads."""
    if dataset is None:
        return []
    problems = []
    length, tokens = spec.training.sequence_length, spec.training.tokens
    if length != dataset.sequence_length:
        message = (
            f"{length} is not the sequenceLength of TokenDataset {dataset.name},"
            f" {dataset.sequence_length}; use {dataset.sequence_length}, or change that of the"
            " dataset"
        )
        problems.append(Problem("dataset-sequence", "spec.training.sequenceLength", message))
    if tokens > dataset.tokens:
        message = (
            f"{tokens} is more than the {dataset.tokens} tokens of TokenDataset {dataset.name};"
            " its stream would be read again"
        )
        problems.append(
            Problem("dataset-tokens", "spec.training.tokens", message, Severity.WARNING)
        )
    return problems


def _with_layout(spec: PretrainJobSpec, plan: PlanStatus) -> PretrainJobSpec:
    if not spec.parallelism.is_left_to_planner:
        return spec
    return spec.model_copy(update={"parallelism": plan.parallelism})
