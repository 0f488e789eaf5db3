"""What each reason of a condition means, and what to do: a page for people."""

from collections.abc import Iterator

from pretrain_api.conditions import Reason

REMEDIES: dict[Reason, tuple[str, str]] = {
    Reason.INVALID_SPEC: (
        "The spec breaks a rule that needs more than the object itself, such as the devices of a"
        " node or the dataset's sequence length. Nothing was created.",
        "The message names each field, its value and what would do. `kubectl pretrain plan NAME`"
        " shows the same and the layouts that fit.",
    ),
    Reason.PROFILE_NOT_FOUND: (
        "There is no ComputeProfile of that name, no default one, several defaults, or it is not"
        " for this namespace.",
        "`kubectl get computeprofiles`; set `spec.profileRef`, or mark one as the default. Work"
        " starts by itself then.",
    ),
    Reason.SECRET_NOT_FOUND: (
        "A Secret that a `credentialsSecretRef` names does not exist in the object's namespace.",
        "Create it with the keys `endpoint`, `accessKey`, `secretKey` and, if needed, `region`.",
    ),
    Reason.DEPENDENCY_NOT_FOUND: (
        "An object that the spec refers to does not exist.",
        "Create it, in the same namespace; the order does not matter.",
    ),
    Reason.WAITING_FOR_DEPENDENCY: (
        "An object that the spec refers to is being made.",
        "Nothing; look at that object for its progress.",
    ),
    Reason.DEPENDENCY_FAILED: (
        "An object that the spec refers to has failed, or needs you.",
        "Fix that one; this one continues by itself.",
    ),
    Reason.WAITING_FOR_PODS: (
        "Pods are not created, not scheduled or do not start: a quota, no room, a taint, an image,"
        " a claim, Pod Security. The message has Kubernetes' own words and the remedy.",
        "What the message says. Time heals it where nodes are only busy.",
    ),
    Reason.NODE_UNREACHABLE: (
        "The node of a pod does not answer. The attempt ends when Kubernetes gives the pod up.",
        "Nothing for the run; look at the node. A node that fails twice is avoided for a day.",
    ),
    Reason.RESTARTING: (
        "An attempt has ended early; the next one starts from the newest checkpoint after a pause"
        " that grows with each quick end.",
        "Nothing at first. If it repeats: `status.attempts` has cause, node and message of each.",
    ),
    Reason.RESTART_BUDGET_EXHAUSTED: (
        "More attempts ended early than `spec.recovery.budgets` allows.",
        "Find the cause in `status.attempts`. Then raise the budget, or annotate the run with"
        " `pretrain.dev/retry` and any new value.",
    ),
    Reason.USER_ERROR: (
        "The program ended with an error that a restart cannot fix; the message has its sentence.",
        "Fix what it names: usually a location, a checkpoint folder of another run, or the data.",
    ),
    Reason.BAD_DATA: (
        "Too many records or files of a source cannot be read.",
        "The message names fields that the records do have. Correct `textField`, `encoding` or"
        " `format`, or raise `maxBadFraction`; the quarantine in the artifact holds the records.",
    ),
    Reason.OUT_OF_MEMORY: (
        "A pod exceeded its memory limit, or a device ran out of memory.",
        "Raise `spec.pods.data.memory` or `.trainer.memory` of the ComputeProfile; on devices a"
        " smaller `microBatchSize`, `recompute: selective`, or more tensor or pipeline ranks:"
        " `kubectl pretrain plan` lists layouts.",
    ),
    Reason.STAGE_FAILED: (
        "A task of a stage failed again and again; the message has its last words.",
        "Fix what it names. An edit of the spec, or a new value of `pretrain.dev/retry`, tries"
        " again; finished tasks are kept.",
    ),
    Reason.CHILD_REJECTED: (
        "The API server refused a Job, ConfigMap or Service.",
        "The message has its words: often a policy of the cluster, or a field of the"
        " ComputeProfile's `pods` that it does not allow.",
    ),
    Reason.NAME_TAKEN: (
        "A Job, ConfigMap or Service of that name belongs to someone else; it is not touched.",
        "Delete or rename it, or give this object another name.",
    ),
    Reason.SUSPENDED: (
        "`spec.suspend` is set.",
        "Set `suspend: false`.",
    ),
    Reason.QUEUED: (
        "Kueue has not admitted a Job of the object, or has preempted it. Once there is room, a "
        "run goes on from its newest checkpoint, as the same attempt, and a stage with the tasks "
        "that are not done.",
        "Nothing. `kubectl describe workload` says what the queue waits for.",
    ),
    Reason.CHECKPOINT_UNSOUND: (
        "A checkpoint is damaged and was set aside; older ones are used.",
        "If all are damaged the run stops. Look at the storage; nothing is deleted.",
    ),
    Reason.NO_CHECKPOINT_YET: (
        "No checkpoint is complete yet: an early end would start again from step 0.",
        "Nothing; `spec.checkpoint.every` says when the first one comes.",
    ),
}
"""Reasons that a person may have to act on, or may wonder about: what they mean, what to do."""

ORDINARY = frozenset(set(Reason) - set(REMEDIES))
"""Reasons of objects that do what they should."""

HEAD = """\
<!-- Generated by `make generate`. DO NOT EDIT. -->
# What a condition's reason means, and what to do

```
kubectl get pretrainjobs                       # phase and message
kubectl describe pretrainjob NAME              # conditions, attempts, Events
kubectl pretrain curve NAME                    # loss, restarts and rollbacks
kubectl logs -l pretrain.dev/name=NAME --tail=50
```

`status.message` is the sentence of the condition that matters now. `Stalled` is true where someone
must act, `Reconciling` where time heals.

| reason | what it means | what to do |
|---|---|---|
"""

TAIL = """
All others are those of objects that do what they should: {names}.

## Before there is a condition

| you see | it means |
|---|---|
| `kubectl apply` refuses the manifest | it breaks a rule; the message has the field, its value and what would do: [wrong-manifests.md](wrong-manifests.md) |
| no status at all | no operator reconciles this namespace: `helm test`, then the Lease and the log of the operator ([operations.md](operations.md)) |
| the status is older than the spec (`observedGeneration`) | the operator has not seen the edit yet; after more than a minute look at its `/readyz` |
| a deleted object stays | a finalizer of someone else: `kubectl get -o yaml` names it. Its pods are gone already |
"""  # noqa: E501


def page() -> str:
    """Return the page, in Markdown."""
    names = ", ".join(f"`{reason}`" for reason in Reason if reason in ORDINARY)
    return HEAD + "".join(_rows()) + TAIL.format(names=names)


def _rows() -> Iterator[str]:
    for reason in Reason:
        if reason in REMEDIES:
            meaning, remedy = REMEDIES[reason]
            yield f"| `{reason}` | {meaning} | {remedy} |\n"
