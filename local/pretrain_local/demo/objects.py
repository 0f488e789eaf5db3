"""What the demo sees of its objects: one snapshot of their statuses, parsed at the door."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from pretrain_api.conditions import Condition
from pretrain_api.kinds import DATA_PIPELINE, PRETRAIN_JOB, TOKEN_DATASET, TOKENIZER
from pretrain_api.v1alpha1.data_status import DataStatus
from pretrain_api.v1alpha1.pretrainjob import PretrainJobStatus

SHOWN = (DATA_PIPELINE, TOKENIZER, TOKEN_DATASET, PRETRAIN_JOB)

Status = DataStatus | PretrainJobStatus


@dataclass(frozen=True)
class Kubectl:
    """The kubectl binary and the cluster and namespace that it talks to."""

    binary: str
    kubeconfig: str
    namespace: str

    def run(self, *arguments: str, stdin: IO[bytes] | None = None) -> str:
        """Return the output of one kubectl command, which reads the file `stdin` if there is one.

        Raises:
            KubectlError: If it fails; the message is kubectl's own.
        """
        command = [self.binary, "--kubeconfig", self.kubeconfig, "-n", self.namespace, *arguments]
        done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise KubectlError(done.stderr.strip() or f"kubectl {arguments[0]} failed")
        return done.stdout


class KubectlError(Exception):
    """kubectl refused; the message says why."""


@dataclass(frozen=True)
class Seen:
    """One object."""

    kind: str
    name: str
    status: Status | None
    """Unset until the operator has written one."""

    def condition(self, kind: str) -> Condition | None:
        """Return the condition of that type."""
        conditions = self.status.conditions if self.status else []
        return next((c for c in conditions if c.type == kind), None)

    def is_true(self, kind: str) -> bool:
        """Return whether the condition of that type holds."""
        condition = self.condition(kind)
        return condition is not None and condition.status == "True"


def observe(kubectl: Kubectl) -> list[Seen]:
    """Return all objects of the shown kinds, in the order of the data flow."""
    kinds = {kind.name: kind for kind in SHOWN}
    items = json.loads(kubectl.run("get", ",".join(k.plural for k in SHOWN), "-o", "json"))["items"]
    seen = []
    for item in items:
        status = item.get("status")
        model = kinds[item["kind"]].status
        parsed = model.model_validate(status) if status else None
        assert parsed is None or isinstance(parsed, DataStatus | PretrainJobStatus)
        seen.append(Seen(item["kind"], item["metadata"]["name"], parsed))
    order = list(kinds)
    return sorted(seen, key=lambda one: (order.index(one.kind), one.name))


def is_over(objects: Sequence[Seen]) -> bool:
    """Return whether nothing more will happen: the run is complete, or something has failed."""
    runs = [one for one in objects if one.kind == PRETRAIN_JOB.name]
    complete = bool(runs) and all(run.is_true("Complete") for run in runs)
    return complete or any(one.is_true("Failed") or one.is_true("Stalled") for one in objects)
