"""The token blocks and the tokenizer of a run: pinned at its start, opened by each attempt."""

from dataclasses import dataclass

from pretrain_api.conditions import Reason
from pretrain_api.digests import digest
from pretrain_api.problems import InvalidManifest
from pretrain_api.runs import OpenedArtifact
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec, RunInputs
from pretrain_api.v1alpha1.tokendataset import TokenDatasetSpec, TokenDatasetStatus
from pretrain_api.v1alpha1.training import Decay
from pretrain_operator.admission.objects import refusals
from pretrain_operator.admission.related_objects import related_objects
from pretrain_operator.admission.runs import input_problems
from pretrain_operator.observed.errors import DependencyNotReady
from pretrain_operator.observed.objects import Key, ObjectReader, ObservedObject, read_spec
from pretrain_operator.observed.states import read_status
from pretrain_operator.plan.data.objects import DataObject, input_fields
from pretrain_operator.plan.dependencies import artifact_secret, require_artifact, require_artifacts
from pretrain_operator.plan.runs.observed_run import ObservedRun

_DATASET_FIELD = "spec.data.datasetRef"


@dataclass(frozen=True)
class OpenedInputs:
    """The token blocks and the tokenizer of a run, with the Secrets to read them."""

    dataset: OpenedArtifact
    tokenizer: OpenedArtifact


def pin_inputs(spec: PretrainJobSpec, opened: OpenedInputs) -> RunInputs:
    """Return the artifacts that a run is bound to from its start.

    The digest is part of the path of its checkpoints: deleted and applied again, the same run
    resumes. It leaves out `tokens`, which may increase, the decay's end, which may change with it,
    and fields at their defaults, so that a new field of a later version changes nothing.
    """
    shape = spec.model.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    schedule = spec.training.schedule
    fixed = spec.training.model_copy(
        update={"schedule": schedule.model_copy(update={"decay": _without_end(schedule.decay)})}
    )
    learning = fixed.model_dump(
        mode="json", by_alias=True, exclude_defaults=True, exclude={"tokens"}
    )
    dataset, tokenizer = opened.dataset, opened.tokenizer
    existing = spec.initialize.hugging_face
    start = [existing.uri] if existing else []
    return RunInputs(
        dataset=ArtifactRef(uri=dataset.uri, digest=dataset.digest),
        tokenizer=ArtifactRef(uri=tokenizer.uri, digest=tokenizer.digest),
        digest=digest(shape, learning, dataset.digest, tokenizer.digest, *start),
    )


def _without_end(decay: Decay) -> Decay:
    return decay.model_copy(update={"tokens": None})


def open_inputs(run: ObservedRun) -> OpenedInputs:
    """Return the token blocks and the tokenizer of a run, with the Secrets to read them.

    Raises:
        DependencyNotReady: If they are not ready, and the run is not bound to artifacts yet.
        InvalidManifest: If they do not fit the run.
    """
    namespace = run.owner.key.namespace
    key = Key("TokenDataset", namespace, run.spec.data.dataset_ref.name)
    dataset = run.related.get(key)
    tokenizer_key = _tokenizer_key(dataset)
    if run.inputs is not None:
        tokenizer = run.related.get(tokenizer_key) if tokenizer_key else None
        return OpenedInputs(
            dataset=_reopen(run.inputs.dataset, dataset),
            tokenizer=_reopen(run.inputs.tokenizer, tokenizer),
        )
    blocks = require_artifact(_DATASET_FIELD, key, dataset)
    if dataset is None or tokenizer_key is None:
        message = f"waits for {key.title} (its spec is invalid)"
        raise DependencyNotReady(Reason.WAITING_FOR_DEPENDENCY, message)
    tokenizer_field = f"spec.tokenizerRef of {key.title}"
    vocabulary = require_artifact(tokenizer_field, tokenizer_key, run.related.get(tokenizer_key))
    _require_current(dataset, run.related)
    if run.has_started:  # one that has not has just been admitted, with the same objects
        related = related_objects(run.spec, namespace, run.related, run.profile)
        if problems := refusals(input_problems(run.spec, related)):
            raise InvalidManifest(problems)
    return OpenedInputs(dataset=blocks, tokenizer=vocabulary)


def _tokenizer_key(dataset: ObservedObject | None) -> Key | None:
    if dataset is None:
        return None
    try:
        spec = read_spec(TokenDatasetSpec, dataset)
    except InvalidManifest:
        return None
    return Key("Tokenizer", dataset.key.namespace, spec.tokenizer_ref.name)


def _reopen(pinned: ArtifactRef, producer: ObservedObject | None) -> OpenedArtifact:
    secret = artifact_secret(producer) if producer else None
    return OpenedArtifact(uri=pinned.uri, digest=pinned.digest, credentials_secret=secret)


def _require_current(dataset: ObservedObject, objects: ObjectReader) -> None:
    """Check that the token blocks were made from the current tokenizer and documents.

    If not, these have changed since the dataset was reconciled: it will be made again.

    Raises:
        DependencyNotReady: If the token blocks are outdated.
    """
    spec = read_spec(TokenDatasetSpec, dataset)
    try:
        inputs = require_artifacts(input_fields(dataset.key, spec), objects)
    except DependencyNotReady as error:
        if error.reason is Reason.DEPENDENCY_NOT_FOUND:
            return  # the dataset is complete, and its inputs were deleted since
        raise
    status = read_status(TokenDatasetStatus, dataset)
    if status.spec_digest != DataObject(dataset, spec, inputs).digest:
        message = f"waits for {dataset.key.title} (its inputs have changed)"
        raise DependencyNotReady(Reason.WAITING_FOR_DEPENDENCY, message)
