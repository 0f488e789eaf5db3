"""Snapshots of the demo's objects: their statuses, parsed when they are read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from pretrain_api.conditions import Condition
from pretrain_api.kinds import DATA_PIPELINE, PRETRAIN_JOB, TOKEN_DATASET, TOKENIZER
from pretrain_api.v1alpha1.data_status import DataStatus
from pretrain_api.v1alpha1.pretrainjob import PretrainJobStatus
from pretrain_local.kubectl import Kubectl

SHOWN_KINDS = (DATA_PIPELINE, TOKENIZER, TOKEN_DATASET, PRETRAIN_JOB)

Status = DataStatus | PretrainJobStatus


@dataclass(frozen=True)
class ObjectSnapshot:
    """One object."""

    kind: str
    name: str
    status: Status | None
    """None until the operator has written it."""

    def condition(self, kind: str) -> Condition | None:
        """Return the condition of that type."""
        conditions = self.status.conditions if self.status else []
        return next((c for c in conditions if c.type == kind), None)

    def is_true(self, kind: str) -> bool:
        """Return whether the condition of that type holds."""
        condition = self.condition(kind)
        return condition is not None and condition.status == "True"


def take_snapshots(kubectl: Kubectl) -> list[ObjectSnapshot]:
    """Return all objects of the shown kinds, in the order of the data flow."""
    kinds = {kind.name: kind for kind in SHOWN_KINDS}
    plurals = ",".join(kind.plural for kind in SHOWN_KINDS)
    items = json.loads(kubectl.run("get", plurals, "-o", "json"))["items"]
    snapshots = []
    for item in items:
        status = item.get("status")
        model = kinds[item["kind"]].status
        parsed = model.model_validate(status) if status else None
        assert parsed is None or isinstance(parsed, DataStatus | PretrainJobStatus)
        snapshots.append(ObjectSnapshot(item["kind"], item["metadata"]["name"], parsed))
    order = list(kinds)
    return sorted(snapshots, key=lambda one: (order.index(one.kind), one.name))


def is_over(objects: Sequence[ObjectSnapshot]) -> bool:
    """Return whether the demo has ended: the run is complete, or an object has failed."""
    runs = [one for one in objects if one.kind == PRETRAIN_JOB.name]
    complete = bool(runs) and all(run.is_true("Complete") for run in runs)
    return complete or any(one.is_true("Failed") or one.is_true("Stalled") for one in objects)
