"""Plan a ComputeProfile: check its spec, and create nothing."""

from datetime import datetime

from pretrain_api.conditions import Reason
from pretrain_api.problems import InvalidManifest
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_operator.admission.objects import object_problems, refusals
from pretrain_operator.observed.objects import read_spec
from pretrain_operator.observed.observation import Observation
from pretrain_operator.observed.states import Phase, State
from pretrain_operator.plan.blocked import blocked_state
from pretrain_operator.plan.plans import Plan


def plan_computeprofile(observed: Observation, now: datetime) -> Plan:
    """Return whether the profile can be used."""
    owner = observed.owner
    try:
        spec = read_spec(ComputeProfileSpec, owner)
        problems = refusals(object_problems(owner.key.kind, owner.key.name, spec))
    except InvalidManifest as error:
        problems = error.problems
    if problems:
        return Plan(blocked_state(owner, InvalidManifest(problems)))
    return Plan(State(Phase.COMPLETE, Reason.VALID))
