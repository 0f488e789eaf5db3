"""Reconcile ComputeProfiles: say whether they are well-formed."""

from datetime import datetime

from pretrain_api.problems import InvalidManifest, parse
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec, ComputeProfileStatus
from pretrain_operator.admission.objects import object_problems, refusals
from pretrain_operator.cluster.cluster import Cluster
from pretrain_operator.observed.objects import Key
from pretrain_operator.observed.statuses import read_status
from pretrain_operator.status.events import status_events
from pretrain_operator.status.profile import profile_status
from pretrain_operator.status.wire import to_wire


async def reconcile_profile(cluster: Cluster, key: Key, now: datetime) -> None:
    """Write the status of a profile; nothing is created for it."""
    observed = cluster.store.get(key)
    if observed is None or observed.deleting:
        return
    problems: list[str] = []
    try:
        spec = parse(ComputeProfileSpec, dict(observed.spec))
        problems = refusals(object_problems(key.kind, key.name, spec))
    except InvalidManifest as error:
        problems = error.problems
    previous = read_status(ComputeProfileStatus, observed)
    status = profile_status(previous.conditions, problems, observed.generation, now)
    said = status_events(previous, status)
    await cluster.write_status(observed, to_wire(status), said, now)
