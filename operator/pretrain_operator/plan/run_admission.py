"""Whether a run may start, what it is planned to need, and the layout that it uses."""

from dataclasses import dataclass

from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.plan import PlanStatus
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_operator.plan.admission import run_problems
from pretrain_operator.plan.plan_status import with_steps
from pretrain_operator.plan.pretraining import plan_pretraining


@dataclass(frozen=True)
class Admission:
    """What was decided before anything is created."""

    spec: PretrainJobSpec
    """With the degrees that the planner chose, where the manifest has none."""
    plan: PlanStatus | None
    """For `status.plan`. `None` while errors or a missing profile keep it from being computed."""
    problems: tuple[str, ...]
    """Everything that keeps the run from starting."""


def admit_run(
    spec: PretrainJobSpec,
    profile: ComputeProfileSpec | None,
    vocabulary: int | None,
    earlier: PlanStatus | None,
) -> Admission:
    """Return whether a run may start on the nodes of `profile`.

    `vocabulary` are the ids of its tokenizer, if they are known. `earlier` is the plan that its
    attempts were started with: a run keeps its layout, and only its length may change.
    """
    if earlier is not None:
        plan = with_steps(earlier, spec.training.train_iters)
        return Admission(_with_layout(spec, earlier), plan, ())
    devices = spec.parallelism.gpus_per_node or 0
    if profile is None or devices > profile.accelerator.per_node:
        return Admission(spec, None, tuple(run_problems(spec, profile)))
    planned = plan_pretraining(spec, profile, vocabulary)
    errors = tuple(str(error) for error in planned.errors)
    if planned.status is None:
        return Admission(spec, None, errors)
    return Admission(_with_layout(spec, planned.status), planned.status, errors)


def _with_layout(spec: PretrainJobSpec, plan: PlanStatus) -> PretrainJobSpec:
    if not spec.parallelism.is_left_to_planner:
        return spec
    return spec.model_copy(update={"parallelism": plan.parallelism})
