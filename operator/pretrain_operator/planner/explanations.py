"""Why the planner did not take a layout that somebody has in mind."""

from collections.abc import Mapping

from pretrain_api.problems import InvalidManifest
from pretrain_api.rules import Severity, check
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.planner.estimates.memory import fullest_rank
from pretrain_operator.planner.layouts import Candidate, Room, legal_layouts, search
from pretrain_operator.planner.planned_model import model_of, work_of
from pretrain_operator.planner.pretraining import ASSUMED_VOCABULARY, room_of

DEGREES = {
    "tensor": "tensor",
    "pipeline": "pipeline",
    "virtualPipeline": "virtual",
    "context": "context",
    "expert": "expert",
}
"""Field of a manifest, and of a layout."""


def parse_degrees(text: str) -> dict[str, int]:
    """Return the degrees of `tensor=8,pipeline=4`.

    Raises:
        InvalidManifest: If it is not of that form.
    """
    wanted = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        if name not in DEGREES or not number.isascii() or not number.isdigit() or number == "0":
            raise InvalidManifest(
                [
                    f"--explain: {part!r} is no degree; write for example tensor=8 or"
                    f" tensor=8,pipeline=4 (of {', '.join(DEGREES)})"
                ]
            )
        wanted[name] = min(int(number), 2**31 - 1)
    return wanted


def explain(
    spec: PretrainJobSpec,
    profile: ComputeProfileSpec,
    wanted: Mapping[str, int],
    vocabulary: int | None = None,
) -> list[str]:
    """Return why a layout with the degrees `wanted` is illegal, too large or slower."""
    room = room_of(spec, profile)
    model = model_of(spec.model, spec.model.vocabulary_size or vocabulary or ASSUMED_VOCABULARY)
    work = work_of(spec.training)
    named = ", ".join(f"{name} {size}" for name, size in wanted.items())
    legal = [
        layout
        for layout, _ in legal_layouts(model, work, room, spec.parallelism.distributed_optimizer)
        if all(getattr(layout, DEGREES[name]) == size for name, size in wanted.items())
    ]
    if not legal:
        reasons = _rules(spec, wanted) or [
            "the degrees together do not divide layers, batch or devices, or tensor reaches beyond"
            f" the {room.devices_per_node} devices of a node, which is never proposed"
        ]
        return [f"{named}: no layout of {room.world} devices keeps every rule", *reasons]
    found = search(model, work, room, spec.parallelism.distributed_optimizer)
    having = [c for c in found if c.layout in legal]
    if not having:
        least = min(fullest_rank(model, layout, work)[1].total for layout in legal)
        limit = room.memory or 0.0
        return [
            f"{named}: {len(legal)} legal layouts, none of which fits: the leanest needs"
            f" {_gib(least)} on its fullest device, {_gib(limit)} are allowed"
        ]
    return [_compare(named, having[0], found[0], room)]


def _rules(spec: PretrainJobSpec, wanted: Mapping[str, int]) -> list[str]:
    """Return the rules that the degrees break by themselves, with all others at 1."""
    layout = spec.parallelism.model_dump(by_alias=True, exclude_unset=True)
    layout = {**layout, **wanted, "sequence": False}
    fields = spec.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    problems = check("PretrainJob", {**fields, "parallelism": layout})
    return [str(problem) for problem in problems if problem.severity is Severity.ERROR]


def _compare(named: str, having: Candidate, best: Candidate, room: Room) -> str:
    shown = f"{named}: fits as {_degrees(having)} ({_gib(having.memory)})"
    if room.speeds is None:
        return shown + "; no time is predicted, the accelerator is unknown"
    shown += f", {having.seconds:.3g} s a step"
    if having.layout == best.layout:
        return shown + "; it is the best"
    slower = 100 * (having.seconds / best.seconds - 1)
    return (
        f"{shown}; {slower:.1f} % slower than the best, {_degrees(best)} ({_gib(best.memory)},"
        f" {best.seconds:.3g} s)"
    )


def _degrees(candidate: Candidate) -> str:
    layout = candidate.layout
    sizes = {name: int(getattr(layout, attribute)) for name, attribute in DEGREES.items()}
    return ", ".join(f"{name} {size}" for name, size in sizes.items() if size > 1) or "one device"


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
