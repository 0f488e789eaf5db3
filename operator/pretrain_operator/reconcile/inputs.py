"""Artifacts that other objects make: found in the store, or what is missing."""

from pretrain_api.runs import OpenedArtifact
from pretrain_operator.cluster.store import Store
from pretrain_operator.observed.objects import Key
from pretrain_operator.observed.states import DependencyNotReady
from pretrain_operator.plan.dependencies import merge_not_ready, require_artifact
from pretrain_operator.plan.work import WorkSpec, input_fields


def gather_inputs(store: Store, key: Key, spec: WorkSpec) -> dict[str, OpenedArtifact]:
    """Return the artifacts that `spec` refers to, by the path of the field.

    Raises:
        DependencyNotReady: If some are not ready; it tells of all of them.
    """
    found: dict[str, OpenedArtifact] = {}
    problems = []
    for field, target in input_fields(key, spec).items():
        try:
            found[field] = require_artifact(field, target, store.get(target))
        except DependencyNotReady as problem:
            problems.append(problem)
    if problems:
        raise merge_not_ready(problems)
    return found
