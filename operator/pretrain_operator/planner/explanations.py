"""Why the planner did not take a layout that the user has in mind."""

from collections.abc import Mapping

from pretrain_api.formulas.model_shapes import model_shape_of
from pretrain_api.problems import InvalidManifest
from pretrain_api.rules import Severity, check
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.planner.descriptions import DEGREES, degrees, gib
from pretrain_operator.planner.device_budget import DeviceBudget
from pretrain_operator.planner.estimates.memory import peak_rank
from pretrain_operator.planner.estimates.planned_run import PlannedRun
from pretrain_operator.planner.from_spec import step_shape_of
from pretrain_operator.planner.legal_layouts import legal_layouts
from pretrain_operator.planner.planned_vocabulary import planned_vocabulary_size
from pretrain_operator.planner.resource_plan import device_budget_of
from pretrain_operator.planner.search import Candidate, search

_LARGEST_DEGREE = 2**31 - 1
"""No layout has a larger one; numbers above it need not be told apart."""


def parse_degrees(text: str) -> dict[str, int]:
    """Return the degrees of `tensor=8,pipeline=4`.

    Raises:
        InvalidManifest: If it is not of that form.
    """
    sizes = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        if name not in DEGREES or not number.isascii() or not number.isdigit() or number == "0":
            raise InvalidManifest(
                [
                    f"--explain: {part!r} is no degree; write for example tensor=8 or"
                    f" tensor=8,pipeline=4 (of {', '.join(DEGREES)})"
                ]
            )
        sizes[name] = min(int(number), _LARGEST_DEGREE)
    return sizes


def explain(
    spec: PretrainJobSpec,
    profile: ComputeProfileSpec,
    sizes: Mapping[str, int],
    tokenizer_size: int | None = None,
) -> list[str]:
    """Return why a layout with the degrees `sizes` is illegal, too large or slower."""
    budget = device_budget_of(spec, profile)
    vocabulary_size = planned_vocabulary_size(spec.model, tokenizer_size)
    model, step = model_shape_of(spec.model, vocabulary_size), step_shape_of(spec.training)
    title = ", ".join(f"{name} {size}" for name, size in sizes.items())
    distributed_optimizer = spec.parallelism.distributed_optimizer
    legal = [
        layout
        for layout, _ in legal_layouts(model, step, budget, distributed_optimizer)
        if all(getattr(layout, DEGREES[name]) == size for name, size in sizes.items())
    ]
    if not legal:
        return [
            f"{title}: no layout of {budget.world_size} devices keeps every rule",
            *_broken_rules(spec, sizes, budget),
        ]
    candidates = search(model, step, budget, distributed_optimizer)
    matching = [candidate for candidate in candidates if candidate.layout in legal]
    if not matching:
        least = min(peak_rank(PlannedRun(model, layout, step))[1].total for layout in legal)
        return [
            f"{title}: {len(legal)} legal layouts, none of which fits: the leanest needs"
            f" {gib(least)} on the device that needs most, {gib(budget.memory_bytes or 0.0)} are"
            " allowed"
        ]
    return [_compare(title, matching[0], candidates[0], budget)]


def _broken_rules(
    spec: PretrainJobSpec, sizes: Mapping[str, int], budget: DeviceBudget
) -> list[str]:
    """Return the rules that the degrees break by themselves, with all others at 1."""
    parallelism = spec.parallelism.model_dump(by_alias=True, exclude_unset=True)
    parallelism = {**parallelism, **sizes, "sequence": False}
    fields = spec.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    problems = check("PretrainJob", {**fields, "parallelism": parallelism})
    return [str(problem) for problem in problems if problem.severity is Severity.ERROR] or [
        "the degrees together do not divide layers, batch or devices, or tensor reaches beyond"
        f" the {budget.devices_per_node} devices of a node, which is never proposed"
    ]


def _compare(title: str, candidate: Candidate, best: Candidate, budget: DeviceBudget) -> str:
    text = f"{title}: fits as {_describe(candidate)} ({gib(candidate.memory_bytes)})"
    if budget.speeds is None:
        return text + "; no time is predicted, the accelerator is unknown"
    text += f", {candidate.seconds:.3g} s a step"
    if candidate.layout == best.layout:
        return text + "; it is the best"
    slower = 100 * (candidate.seconds / best.seconds - 1)
    return (
        f"{text}; {slower:.1f} % slower than the best, {_describe(best)}"
        f" ({gib(best.memory_bytes)}, {best.seconds:.3g} s)"
    )


def _describe(candidate: Candidate) -> str:
    return ", ".join(degrees(candidate.layout)) or "one device"
