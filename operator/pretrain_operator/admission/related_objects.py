"""Look up the profile, the dataset and the tokenizer that a PretrainJob refers to.

The objects may come from manifests, from the operator's store or from the webhook's cache.
"""

from dataclasses import dataclass

from pretrain_api.conditions import ConditionType
from pretrain_api.problems import InvalidManifest
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_api.v1alpha1.tokendataset import (
    DatasetSummary,
    TokenDatasetSpec,
    TokenDatasetStatus,
)
from pretrain_api.v1alpha1.tokenizer import TokenizerSpec
from pretrain_operator.admission.profiles import choose_profile
from pretrain_operator.observed.errors import DependencyNotReady
from pretrain_operator.observed.objects import Key, ObjectReader, ObservedObject, read_spec
from pretrain_operator.observed.states import find_condition, read_status


@dataclass(frozen=True)
class DatasetInfo:
    """The properties of a TokenDataset that a run is checked against."""

    name: str
    sequence_length: int
    """Tokens of a sequence."""
    tokens: int
    """Length of its stream."""
    unique_tokens: int | None = None
    """Tokens of its documents, each counted once. `None` until it is complete."""


@dataclass(frozen=True, kw_only=True)
class RelatedObjects:
    """What a PretrainJob refers to; `None` means unknown."""

    profile: ComputeProfileSpec | None = None
    dataset: DatasetInfo | None = None
    vocabulary: int | None = None
    """Token ids of the tokenizer, or those that it will have once it is trained."""
    missing: tuple[str, ...] = ()
    """What cannot be checked, and why: one line for each object that is missing or invalid."""


def related_objects(
    spec: PretrainJobSpec,
    namespace: str,
    objects: ObjectReader,
    nodes: ComputeProfileSpec | None = None,
) -> RelatedObjects:
    """Return what a run in `namespace` refers to; `nodes` take precedence over its profile."""
    missing, profile = [], nodes
    try:
        profiles = objects.all("ComputeProfile")
        profile = nodes or choose_profile(spec.profile_ref, profiles, namespace)
    except DependencyNotReady as error:
        missing.append(f"{error.message}; memory and time are not checked")
    name = spec.data.dataset_ref.name
    observed = objects.get(Key("TokenDataset", namespace, name))
    if observed is None:
        missing.append(_absent("spec.data.datasetRef.name", "TokenDataset", name))
        return RelatedObjects(profile=profile, missing=tuple(missing))
    try:
        dataset = read_spec(TokenDatasetSpec, observed)
    except InvalidManifest as error:
        missing.append(
            f"TokenDataset {name} is invalid, so the run is not checked against it: {error}"
        )
        return RelatedObjects(profile=profile, missing=tuple(missing))
    summary = _summary(observed)
    if summary is not None:
        unique = sum(part.unique_tokens for part in summary.parts) or None
        info = DatasetInfo(name, dataset.sequence_length, dataset.tokens, unique)
        return RelatedObjects(
            profile=profile,
            dataset=info,
            vocabulary=summary.vocabulary_size,
            missing=tuple(missing),
        )
    info = DatasetInfo(name, dataset.sequence_length, dataset.tokens)
    key = Key("Tokenizer", namespace, dataset.tokenizer_ref.name)
    vocabulary, problems = _vocabulary(key, name, objects.get(key))
    return RelatedObjects(
        profile=profile, dataset=info, vocabulary=vocabulary, missing=(*missing, *problems)
    )


def _summary(observed: ObservedObject) -> DatasetSummary | None:
    """Return the summary of a dataset's artifact, if it was made for the current spec."""
    status = read_status(TokenDatasetStatus, observed)
    ready = find_condition(status.conditions, ConditionType.READY)
    is_current = status.observed_generation == observed.generation
    return status.summary if is_current and ready and ready.status == "True" else None


def _vocabulary(
    key: Key, dataset: str, observed: ObservedObject | None
) -> tuple[int | None, list[str]]:
    if observed is None:
        field = f"spec.tokenizerRef.name of TokenDataset {dataset}"
        return None, [_absent(field, "Tokenizer", key.name)]
    try:
        return read_spec(TokenizerSpec, observed).vocabulary_size, []
    except InvalidManifest as error:
        return None, [f"{key.title} is invalid, so the run is not checked against it: {error}"]


def _absent(field: str, kind: str, name: str) -> str:
    return f"{field}: there is no {kind} {name!r}, so the run is not checked against it"
