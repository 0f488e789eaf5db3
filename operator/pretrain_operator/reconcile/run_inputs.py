"""The artifacts of a run: pinned when it starts, opened with the Secrets of their makers."""

from collections.abc import Sequence

from pydantic import ValidationError

from pretrain_api.conditions import Reason
from pretrain_api.problems import InvalidManifest, parse
from pretrain_api.runs import OpenedArtifact
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec, PretrainJobStatus, RunInputs
from pretrain_api.v1alpha1.tokendataset import TokenDatasetSpec, TokenDatasetStatus
from pretrain_operator.admission.objects import refusals
from pretrain_operator.admission.related_objects import related_objects
from pretrain_operator.admission.runs import input_problems
from pretrain_operator.cluster.store import Store
from pretrain_operator.observed.annotations import INPUTS_ANNOTATION
from pretrain_operator.observed.jobs import ObservedJob
from pretrain_operator.observed.objects import Key, ObservedObject
from pretrain_operator.observed.states import DependencyNotReady
from pretrain_operator.observed.statuses import read_status
from pretrain_operator.plan.dependencies import artifact_secret, require_artifact
from pretrain_operator.plan.run_inputs import OpenedInputs
from pretrain_operator.plan.work import Work
from pretrain_operator.reconcile.inputs import gather_inputs

_DATASET_FIELD = "spec.data.datasetRef"


def pinned_inputs(status: PretrainJobStatus, jobs: Sequence[ObservedJob]) -> RunInputs | None:
    """Return what the run is bound to: as the status says, or a Job that was made before it."""
    if status.inputs is not None:
        return status.inputs
    for job in sorted(jobs, key=lambda job: -job.attempt):
        text = job.annotations.get(INPUTS_ANNOTATION)
        if text is not None:
            try:
                return RunInputs.model_validate_json(text, extra="ignore")
            except ValidationError:
                continue
    return None


def open_inputs(
    store: Store, owner: ObservedObject, spec: PretrainJobSpec, pinned: RunInputs | None
) -> OpenedInputs:
    """Return the token blocks and the tokenizer of a run.

    Raises:
        DependencyNotReady: If they are not ready, and the run has not been bound to older ones.
        InvalidManifest: If they do not fit the run.
    """
    key = Key("TokenDataset", owner.key.namespace, spec.data.dataset_ref.name)
    dataset = store.get(key)
    tokenizer_key = _tokenizer_key(dataset)
    if pinned is not None:
        tokenizer = store.get(tokenizer_key) if tokenizer_key else None
        return OpenedInputs(
            dataset=_reopen(pinned.dataset, dataset), tokenizer=_reopen(pinned.tokenizer, tokenizer)
        )
    opened = require_artifact(_DATASET_FIELD, key, dataset)
    assert dataset is not None
    assert tokenizer_key is not None
    tokenizer_field = f"spec.tokenizerRef of {key.title}"
    found = require_artifact(tokenizer_field, tokenizer_key, store.get(tokenizer_key))
    _require_current(store, dataset)
    # It may have become another one since the run was admitted: that was beside the event loop.
    related = related_objects(spec, owner.key.namespace, store)
    if problems := refusals(input_problems(spec, related)):
        raise InvalidManifest(problems)
    return OpenedInputs(opened, found)


def _tokenizer_key(dataset: ObservedObject | None) -> Key | None:
    if dataset is None:
        return None
    try:
        spec = parse(TokenDatasetSpec, dict(dataset.spec))
    except InvalidManifest:
        return None
    return Key("Tokenizer", dataset.key.namespace, spec.tokenizer_ref.name)


def _reopen(pinned: ArtifactRef, maker: ObservedObject | None) -> OpenedArtifact:
    secret = artifact_secret(maker) if maker else None
    return OpenedArtifact(uri=pinned.uri, digest=pinned.digest, credentials_secret=secret)


def _require_current(store: Store, dataset: ObservedObject) -> None:
    """Refuse token blocks that were made with another tokenizer than the one there is now.

    The dataset is about to be made anew, but has not been looked at since the tokenizer changed.
    """
    spec = parse(TokenDatasetSpec, dict(dataset.spec))
    try:
        work = Work(dataset, spec, gather_inputs(store, dataset.key, spec))
    except DependencyNotReady as problem:
        if problem.state.reason is Reason.DEPENDENCY_NOT_FOUND:
            return  # finished, and what it was made from is gone
        raise
    if read_status(TokenDatasetStatus, dataset).spec_digest != work.digest:
        message = f"waits for {dataset.key.title} (its inputs have changed)"
        raise DependencyNotReady(Reason.WAITING_FOR_DEPENDENCY, message)
