"""The rollbacks of a run: a list in its folder, which every later attempt reads."""

import json

from pydantic import ValidationError

from pretrain_api.v1alpha1.progress import Rollback
from pretrain_workloads.failures import BadData
from pretrain_workloads.storage import Folder

ROLLBACKS = "rollbacks.json"

SAFE_STEPS = 16
"""How many steps before a spike a checkpoint is trusted: the weights turn bad before the loss
does."""


def read_rollbacks(folder: Folder) -> list[Rollback]:
    """Return the rollbacks of the run in `folder`, oldest first.

    Raises:
        BadData: If their list is broken.
    """
    if not folder.exists(ROLLBACKS):
        return []
    try:
        values = json.loads(folder.read_bytes(ROLLBACKS))
        return [Rollback.model_validate(value, extra="ignore") for value in values]
    except (ValueError, TypeError, ValidationError) as error:
        raise BadData(
            f"{folder.uri_of(ROLLBACKS)}: is no list of rollbacks ({type(error).__name__}); "
            "restore it, or delete it to read the data that was skipped"
        ) from error


def write_rollbacks(folder: Folder, rollbacks: list[Rollback]) -> None:
    """Write the whole list."""
    values = [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in rollbacks]
    folder.write_json(ROLLBACKS, values)


def choose_checkpoint(saved: list[int], step: int) -> int:
    """Return the step to go on from when a spike follows `step`, of the checkpoints at `saved`.

    That is the newest which is old enough to trust, else the oldest; 0 if there is none.
    """
    trusted = [one for one in saved if one <= step - SAFE_STEPS]
    return max(trusted) if trusted else min(saved, default=0)


def is_undone(step: int, known: int, rollbacks: list[Rollback]) -> bool:
    """Return whether a checkpoint of `step` is from before a rollback to an earlier step.

    Args:
        step: Its steps.
        known: How many rollbacks there were when it was saved.
        rollbacks: All rollbacks of the run.
    """
    return any(step > later.resume_step for later in rollbacks[known:])
