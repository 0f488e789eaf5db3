"""What the objects that a PretrainJob refers to say about it, as far as they are known.

Manifests of one file, the operator's store and the webhook's lists are looked through alike.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pretrain_api.conditions import ConditionType
from pretrain_api.problems import InvalidManifest, parse
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_api.v1alpha1.tokendataset import (
    DatasetSummary,
    TokenDatasetSpec,
    TokenDatasetStatus,
)
from pretrain_api.v1alpha1.tokenizer import TokenizerSpec
from pretrain_operator.observed.observed import Key, ObservedObject
from pretrain_operator.plan.dependencies import find_condition, read_status
from pretrain_operator.plan.profiles import choose_profile
from pretrain_operator.plan.situation import Unmet


class Objects(Protocol):
    """Where objects of our kinds are looked up."""

    def get(self, key: Key) -> ObservedObject | None:
        """Return the object `key`, if there is one."""

    def all(self, kind: str) -> Sequence[ObservedObject]:
        """Return all objects of one kind."""


class KnownObjects:
    """Objects that were listed or read; of two of one name the later counts."""

    def __init__(self, objects: Iterable[ObservedObject] = ()) -> None:
        self._objects: Mapping[Key, ObservedObject] = {found.key: found for found in objects}

    def get(self, key: Key) -> ObservedObject | None:
        """Return the object `key`, if there is one."""
        return self._objects.get(key)

    def all(self, kind: str) -> list[ObservedObject]:
        """Return all objects of one kind."""
        return [found for found in self._objects.values() if found.key.kind == kind]


@dataclass(frozen=True)
class DatasetFacts:
    """What matters of a TokenDataset."""

    name: str
    sequence_length: int
    """Tokens of a sequence."""
    tokens: int
    """Length of its stream."""
    unique_tokens: int | None = None
    """Different tokens in it. `None` until it is complete."""


@dataclass(frozen=True)
class Surroundings:
    """What a PretrainJob refers to; whatever is `None` is not known."""

    profile: ComputeProfileSpec | None = None
    dataset: DatasetFacts | None = None
    vocabulary: int | None = None
    """Ids of the tokenizer: those it has, or those that it will have."""
    missing: tuple[str, ...] = ()
    """What cannot be checked, and why: one line for each object that is not there, or invalid."""


def surroundings_of(
    spec: PretrainJobSpec,
    namespace: str,
    objects: Objects,
    nodes: ComputeProfileSpec | None = None,
) -> Surroundings:
    """Return what `objects` say about a run in `namespace`; `nodes` win over their profiles."""
    missing, profile = [], nodes
    try:
        profile = nodes or choose_profile(spec.profile_ref, objects.all("ComputeProfile"))
    except Unmet as unmet:
        missing.append(f"{unmet.situation.message}; memory and time are not checked")
    name = spec.data.dataset_ref.name
    observed = objects.get(Key("TokenDataset", namespace, name))
    if observed is None:
        missing.append(_absent("spec.data.datasetRef.name", "TokenDataset", name))
        return Surroundings(profile, missing=tuple(missing))
    try:
        dataset = parse(TokenDatasetSpec, dict(observed.spec))
    except InvalidManifest as error:
        missing.append(f"TokenDataset {name} is invalid, so it is not compared with: {error}")
        return Surroundings(profile, missing=tuple(missing))
    summary = _summary(observed)
    if summary is not None:
        unique = sum(part.unique_tokens for part in summary.parts) or None
        facts = DatasetFacts(name, dataset.sequence_length, dataset.tokens, unique)
        return Surroundings(profile, facts, summary.vocabulary_size, tuple(missing))
    facts = DatasetFacts(name, dataset.sequence_length, dataset.tokens)
    key = Key("Tokenizer", namespace, dataset.tokenizer_ref.name)
    vocabulary, problems = _vocabulary(key, name, objects.get(key))
    return Surroundings(profile, facts, vocabulary, (*missing, *problems))


def _summary(observed: ObservedObject) -> DatasetSummary | None:
    """Return what a dataset's artifact holds, if it was made for its current spec."""
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
        return parse(TokenizerSpec, dict(observed.spec)).vocabulary_size, []
    except InvalidManifest as error:
        return None, [f"{key.title} is invalid, so it is not compared with: {error}"]


def _absent(field: str, kind: str, name: str) -> str:
    return f"{field}: there is no {kind} {name!r}, so it is not compared with"
