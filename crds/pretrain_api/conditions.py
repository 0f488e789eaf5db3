"""Conditions: what is true of an object now, in the words of kstatus and our own."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from pretrain_api.meta import ApiModel


class ConditionType(StrEnum):
    """Every condition that one of our kinds may carry."""

    READY = "Ready"
    """kstatus: the spec is fulfilled: a complete artifact, or a healthy or complete run."""
    RECONCILING = "Reconciling"
    """kstatus: work is under way."""
    STALLED = "Stalled"
    """kstatus: no progress without the user."""
    ACCEPTED = "Accepted"
    """The spec passed every check; the message of a False lists every failed one."""
    DATA_READY = "DataReady"
    """Everything that the spec refers to exists and is ready; a False names what is missing."""
    RUNNING = "Running"
    """Pods of the current attempt run."""
    CHECKPOINT_HEALTHY = "CheckpointHealthy"
    """A durable checkpoint exists and is recent enough."""
    SUSPENDED = "Suspended"
    """The run is suspended, by its spec or by a queue."""
    COMPLETE = "Complete"
    """Finished, successfully, for good."""
    FAILED = "Failed"
    """Finished without success, for good (until the spec changes)."""


class Reason(StrEnum):
    """Every reason of a condition: one machine word."""

    VALID = "Valid"
    INVALID_SPEC = "InvalidSpec"
    PROFILE_NOT_FOUND = "ProfileNotFound"
    SECRET_NOT_FOUND = "SecretNotFound"
    DEPENDENCY_NOT_FOUND = "DependencyNotFound"
    WAITING_FOR_DEPENDENCY = "WaitingForDependency"
    DEPENDENCY_FAILED = "DependencyFailed"
    DEPENDENCIES_READY = "DependenciesReady"
    STAGE_RUNNING = "StageRunning"
    WAITING_FOR_PODS = "WaitingForPods"
    NODE_UNREACHABLE = "NodeUnreachable"
    ATTEMPT_STARTING = "AttemptStarting"
    ATTEMPT_RUNNING = "AttemptRunning"
    ATTEMPT_ENDED = "AttemptEnded"
    RESTARTING = "Restarting"
    SUSPENDED = "Suspended"
    QUEUED = "Queued"
    NOT_SUSPENDED = "NotSuspended"
    COMPLETE = "Complete"
    NOT_COMPLETE = "NotComplete"
    NOT_FAILED = "NotFailed"
    USER_ERROR = "UserError"
    BAD_DATA = "BadData"
    OUT_OF_MEMORY = "OutOfMemory"
    RESTART_BUDGET_EXHAUSTED = "RestartBudgetExhausted"
    CHILD_REJECTED = "ChildRejected"
    NAME_TAKEN = "NameTaken"
    STAGE_FAILED = "StageFailed"
    CHECKPOINT_SAVED = "CheckpointSaved"
    NO_CHECKPOINT_YET = "NoCheckpointYet"
    CHECKPOINT_UNSOUND = "CheckpointUnsound"


class Condition(ApiModel):
    """One condition, as in `metav1.Condition`."""

    type: Annotated[str, Field(max_length=316)]
    """What the condition is about."""

    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""

    observed_generation: int | None = None
    """`metadata.generation` that this was computed from."""

    last_transition_time: str
    """When `status` last changed, RFC 3339."""

    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """One word for machines."""

    message: Annotated[str, Field(max_length=32768)] = ""
    """A sentence for people: the field, the value and what would do."""
