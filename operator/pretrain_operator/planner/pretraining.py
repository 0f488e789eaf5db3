"""Plan a PretrainJob before anything is created: legal, fitting, how long."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pretrain_api.profiles import device_of, memory_of
from pretrain_api.rules import Problem, Severity, check
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.plan import LayoutPlan, PlanStatus
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.planner.estimates.devices import speeds_of
from pretrain_operator.planner.estimates.memory import admitted_bytes
from pretrain_operator.planner.estimates.setup import Model, Recompute, Work
from pretrain_operator.planner.estimates.sizes import total_parameters
from pretrain_operator.planner.layouts import Candidate, Room, search
from pretrain_operator.planner.plan_status import layout_plan, parallelism_of, plan_status
from pretrain_operator.planner.planned_model import layout_of, model_of, work_of
from pretrain_operator.planner.serving import serving_hint

ASSUMED_VOCABULARY = 128_256
"""Ids that a plan assumes while neither the model nor a tokenizer says."""

_UNEVEN_ROWS = "vocabulary-tensor"
_SHOWN = 5
_SPARE = 0.4
_MANY_EPOCHS = 4.0


@dataclass(frozen=True)
class PretrainPlan:
    """What is known of a run before it starts."""

    spec: PretrainJobSpec
    """The manifest's spec, with the degrees that the planner chose and the devices of a node."""
    status: PlanStatus | None
    """For `status.plan`. `None` while errors keep the layout from being computed."""
    problems: tuple[Problem, ...] = ()
    """Errors, what the trainer cannot do yet, and warnings."""
    notes: tuple[str, ...] = field(default=())
    """Hints for people."""

    @property
    def errors(self) -> list[Problem]:
        """Return what keeps the run from being accepted."""
        return [problem for problem in self.problems if problem.is_refusal]

    @property
    def is_accepted(self) -> bool:
        """Return whether the run may start."""
        return not self.errors


def plan_pretraining(
    spec: PretrainJobSpec,
    profile: ComputeProfileSpec,
    tokenizer_vocabulary: int | None = None,
    unique_tokens: int | None = None,
) -> PretrainPlan:
    """Return the plan of a run on the nodes of a profile.

    `tokenizer_vocabulary` are the ids of its tokenizer, `unique_tokens` the different tokens of
    its dataset; `None` where they are not known yet.
    """
    spec = _on_nodes(spec, profile)
    problems = check("PretrainJob", spec)
    embedding = vocabulary_problems(spec, tokenizer_vocabulary)
    if any(p.severity is Severity.ERROR for p in problems) or _keeps_from_planning(embedding):
        return PretrainPlan(spec, None, (*problems, *embedding))
    problems += embedding
    vocabulary = _vocabulary(spec, tokenizer_vocabulary) or ASSUMED_VOCABULARY
    model, work = model_of(spec.model, vocabulary), work_of(spec.training)
    room = _room(spec, profile)
    candidates: list[LayoutPlan] = []
    if spec.parallelism.is_left_to_planner:
        found = search(model, work, room, spec.parallelism.distributed_optimizer)
        if not found:
            problems.append(_nothing_fits(model, work, room))
            return PretrainPlan(spec, None, tuple(problems))
        found = _runnable_first(spec, found)
        candidates = [layout_plan(c, *_nodes(spec)) for c in found[:_SHOWN]]
        spec = _with_parallelism(spec, found[0])
        problems = [*check("PretrainJob", spec), *embedding]
    layout = layout_of(spec.parallelism, spec.model.layers, room.devices_per_node)
    status = plan_status(spec, vocabulary, model, layout, work, room)
    problems += _memory_problems(status, model, work, room)
    problems += _unwise(spec, status, unique_tokens)
    warnings = [str(p) for p in problems if p.severity is Severity.WARNING]
    status = status.model_copy(update={"candidates": candidates, "warnings": warnings})
    return PretrainPlan(spec, status, tuple(problems), _notes(spec, model, vocabulary, status))


def room_of(spec: PretrainJobSpec, profile: ComputeProfileSpec) -> Room:
    """Return where the layouts of a run have to fit."""
    return _room(_on_nodes(spec, profile), profile)


def _on_nodes(spec: PretrainJobSpec, profile: ComputeProfileSpec) -> PretrainJobSpec:
    """Return `spec` with the devices of a node, which the profile says where it does not."""
    layout = spec.parallelism
    if layout.gpus_per_node is not None:
        return spec
    known = layout.model_copy(update={"gpus_per_node": profile.accelerator.per_node})
    return spec.model_copy(update={"parallelism": known})


def _nodes(spec: PretrainJobSpec) -> tuple[int, int]:
    return spec.parallelism.nodes, spec.parallelism.gpus_per_node or 1


def _room(spec: PretrainJobSpec, profile: ComputeProfileSpec) -> Room:
    nodes, devices = _nodes(spec)
    memory, device = memory_of(profile), device_of(profile)
    return Room(
        nodes * devices,
        devices,
        None if memory is None else admitted_bytes(memory),
        None if device is None else speeds_of(device),
    )


def _with_parallelism(spec: PretrainJobSpec, candidate: Candidate) -> PretrainJobSpec:
    chosen = parallelism_of(candidate, *_nodes(spec))
    return spec.model_copy(update={"parallelism": chosen})


def _runnable_first(spec: PretrainJobSpec, found: list[Candidate]) -> list[Candidate]:
    """Return the best candidates, first those that our trainer can run already."""
    runnable: list[Candidate] = []
    others: list[Candidate] = []
    for candidate in found[: 20 * _SHOWN]:
        problems = check("PretrainJob", _with_parallelism(spec, candidate))
        (others if any(p.is_refusal for p in problems) else runnable).append(candidate)
        if len(runnable) == _SHOWN:
            break
    return [*runnable, *others]


def vocabulary_problems(spec: PretrainJobSpec, tokenizer: int | None) -> list[Problem]:
    """Return what is wrong with the embedding of a run whose tokenizer has `tokenizer` ids."""
    problems = []
    given = spec.model.vocabulary_size
    if given is not None and tokenizer is not None and given < tokenizer:
        message = (
            f"{given} is less than the tokenizer's {tokenizer} ids; use {tokenizer} or more,"
            " or leave it out"
        )
        problems.append(Problem("vocabulary-tokenizer", "spec.model.vocabularySize", message))
    rows = model_of(spec.model, _vocabulary(spec, tokenizer) or ASSUMED_VOCABULARY).vocabulary
    tensor = spec.parallelism.tensor
    if (given or tokenizer) and rows % tensor:
        fitting = [size for size in (1, 2, 4, 8, 16, 32, 64, 128) if rows % size == 0]
        message = (
            f"{tensor} does not divide the {rows} rows of the padded embedding; use one of"
            f" {fitting}"
        )
        problems.append(Problem(_UNEVEN_ROWS, "spec.parallelism.tensor", message))
    return problems


def _keeps_from_planning(embedding: Sequence[Problem]) -> bool:
    return any(problem.rule == _UNEVEN_ROWS for problem in embedding)


def _vocabulary(spec: PretrainJobSpec, tokenizer: int | None) -> int:
    """Return the ids that the model is to have, 0 if nobody says."""
    return max(spec.model.vocabulary_size or 0, tokenizer or 0)


def _memory_problems(status: PlanStatus, model: Model, work: Work, room: Room) -> list[Problem]:
    memory = status.memory_per_gpu
    if memory.limit is None or memory.total <= memory.limit:
        return []
    message = (
        f"{_gib(memory.total)} predicted on the fullest device, more than the {_gib(memory.limit)}"
        " that its memory allows"
    )
    fitting = _fitting(model, work, room)
    if fitting:
        message += "; these fit: " + " or ".join(_describe(c, work) for c in fitting[:2])
    else:
        message += "; no layout fits on these nodes: use more of them, or a smaller model"
    return [Problem("memory", "spec.parallelism", message)]


def _nothing_fits(model: Model, work: Work, room: Room) -> Problem:
    message = f"no layout of {room.world} devices keeps every rule and fits into their memory"
    fitting = _fitting(model, work, room)
    if fitting:
        message += "; these would: " + " or ".join(_describe(c, work) for c in fitting[:2])
    else:
        message += "; use more nodes, a smaller model, or another globalBatchSize"
    return Problem("memory", "spec.parallelism", message)


def _fitting(model: Model, work: Work, room: Room) -> list[Candidate]:
    """Return what fits, with more recomputation if need be, and then with smaller micro-batches."""
    for micro_batch in sorted({work.micro_batch, 1}, reverse=True):
        for recompute in _from(work.recompute):
            other = Work(**{**vars(work), "recompute": recompute, "micro_batch": micro_batch})
            if found := search(model, other, room):
                return found
    return []


def _from(recompute: Recompute) -> tuple[Recompute, ...]:
    every: tuple[Recompute, ...] = ("none", "selective", "full")
    return every[every.index(recompute) :]


def _describe(candidate: Candidate, work: Work) -> str:
    layout = candidate.layout
    degrees: Mapping[str, int] = {
        "tensor": layout.tensor,
        "pipeline": layout.pipeline,
        "virtualPipeline": layout.virtual,
        "context": layout.context,
        "expert": layout.expert,
    }
    words = [f"{name} {size}" for name, size in degrees.items() if size > 1] or ["tensor 1"]
    if layout.sequence:
        words.append("sequence true")
    if candidate.counted:
        words.append("countEmbedding and countLoss true")
    if candidate.work.recompute != work.recompute:
        words.append(f"recompute {candidate.work.recompute}")
    if candidate.work.micro_batch != work.micro_batch:
        words.append(f"microBatchSize {candidate.work.micro_batch}")
    return f"{', '.join(words)} ({_gib(candidate.memory)})"


def _unwise(spec: PretrainJobSpec, status: PlanStatus, unique: int | None) -> list[Problem]:
    found = []
    memory = status.memory_per_gpu
    if memory.limit and memory.total < _SPARE * memory.limit:
        found.append(
            _warning(
                "spare-memory",
                "spec.training.microBatchSize",
                f"{_gib(memory.total)} of {_gib(memory.limit)} would be used; a larger micro-batch"
                " or smaller degrees are usually faster",
            )
        )
    bubble = (spec.parallelism.pipeline - 1) / spec.parallelism.virtual_stages
    if bubble > 0.25 * status.micro_batches:
        share = bubble / (bubble + status.micro_batches)
        found.append(
            _warning(
                "pipeline-bubble",
                "spec.training.globalBatchSize",
                f"{status.micro_batches} micro-batches for {spec.parallelism.pipeline} stages leave"
                f" the devices idle {100 * share:.0f} % of the time; use a larger batch, a smaller"
                " pipeline or virtualPipeline",
            )
        )
    if unique and spec.training.tokens > _MANY_EPOCHS * unique:
        found.append(
            _warning(
                "many-epochs",
                "spec.training.tokens",
                f"{spec.training.tokens} tokens are {spec.training.tokens / unique:.1f} epochs over"
                f" {unique} different ones; beyond about 4 a model gains little from repeating",
            )
        )
    return found


def _warning(rule: str, path: str, message: str) -> Problem:
    return Problem(rule, path, message, Severity.WARNING)


def _notes(
    spec: PretrainJobSpec, model: Model, vocabulary: int, status: PlanStatus
) -> tuple[str, ...]:
    notes = [serving_hint(total_parameters(model, vocabulary))]
    if spec.model.vocabulary_size is None and vocabulary == ASSUMED_VOCABULARY:
        notes.append(f"a vocabulary of {vocabulary} ids was assumed: the tokenizer is not known")
    if status.predicted_step_seconds is None:
        notes.append("no time is predicted: the profile's accelerator is unknown")
    return tuple(notes)


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"
