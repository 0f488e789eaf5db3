"""What the manifests beside a PretrainJob say about it: profile, vocabulary, tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

from pretrain_api.problems import InvalidManifest, parse
from pretrain_api.v1alpha1.computeprofile import Accelerator, ComputeProfileSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_api.v1alpha1.tokendataset import TokenDatasetSpec
from pretrain_api.v1alpha1.tokenizer import TokenizerSpec
from pretrain_operator.cli.manifests import Document


@dataclass(frozen=True)
class JobContext:
    """What a PretrainJob refers to, as far as it is known."""

    profile: ComputeProfileSpec
    vocabulary: int | None
    notes: tuple[str, ...] = ()


def context_of(
    job: PretrainJobSpec, beside: Sequence[Document], accelerator: str | None, per_node: int
) -> JobContext:
    """Return the context of `job`; `accelerator` wins over the manifests' profiles.

    Raises:
        InvalidManifest: If a manifest that the job refers to is none.
    """
    profile, notes = _profile(job, beside, accelerator, per_node)
    return JobContext(profile, _vocabulary(job, beside), notes)


def _profile(
    job: PretrainJobSpec, beside: Sequence[Document], accelerator: str | None, per_node: int
) -> tuple[ComputeProfileSpec, tuple[str, ...]]:
    if accelerator is not None:
        device = Accelerator(name=accelerator, per_node=per_node)
        return ComputeProfileSpec(accelerator=device), ()
    profiles = [d for d in beside if d.kind == "ComputeProfile"]
    if job.profile_ref is not None:
        profiles = [d for d in profiles if d.name == job.profile_ref.name]
    if profiles:
        return parse(ComputeProfileSpec, dict(profiles[0].spec)), ()
    devices = job.parallelism.gpus_per_node or per_node
    unknown = ComputeProfileSpec(accelerator=Accelerator(name="unknown", per_node=devices))
    wanted = f" {job.profile_ref.name!r}" if job.profile_ref else ""
    note = (
        f"no ComputeProfile{wanted} among the manifests: memory and time are not checked; add it,"
        " or use --accelerator"
    )
    return unknown, (note,)


def _vocabulary(job: PretrainJobSpec, beside: Sequence[Document]) -> int | None:
    """Follow the references from the dataset to its tokenizer, among the manifests."""
    for document in beside:
        if document.kind != "TokenDataset" or document.name != job.data.dataset_ref.name:
            continue
        dataset = _parsed(TokenDatasetSpec, document)
        for other in beside:
            if other.kind == "Tokenizer" and other.name == dataset.tokenizer_ref.name:
                return _parsed(TokenizerSpec, other).vocabulary_size
    return None


def _parsed[M: TokenDatasetSpec | TokenizerSpec](model: type[M], document: Document) -> M:
    try:
        return parse(model, dict(document.spec))
    except InvalidManifest as error:
        lines = [f"{document.title}: {problem}" for problem in error.problems]
        raise InvalidManifest(lines) from None
