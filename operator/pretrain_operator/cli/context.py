"""What the manifests beside a PretrainJob say about it: profile, vocabulary, tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

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

    What is invalid beside the job is left out: it has problems of its own.
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
    if len(profiles) == 1 and (spec := _parsed(ComputeProfileSpec, profiles[0])) is not None:
        return spec, ()
    devices = job.parallelism.gpus_per_node or per_node
    unknown = ComputeProfileSpec(accelerator=Accelerator(name="unknown", per_node=devices))
    wanted = f" {job.profile_ref.name!r}" if job.profile_ref else ""
    note = (
        f"no valid ComputeProfile{wanted} among the manifests: memory and time are not checked;"
        " add it, or use --accelerator"
    )
    return unknown, (note,)


def _vocabulary(job: PretrainJobSpec, beside: Sequence[Document]) -> int | None:
    """Follow the references from the dataset to its tokenizer, among the manifests."""
    dataset = _named(TokenDatasetSpec, "TokenDataset", job.data.dataset_ref.name, beside)
    if dataset is None:
        return None
    tokenizer = _named(TokenizerSpec, "Tokenizer", dataset.tokenizer_ref.name, beside)
    return None if tokenizer is None else tokenizer.vocabulary_size


def _named[M: BaseModel](
    model: type[M], kind: str, name: str, beside: Sequence[Document]
) -> M | None:
    found = (d for d in beside if (d.kind, d.name) == (kind, name))
    document = next(found, None)
    return None if document is None else _parsed(model, document)


def _parsed[M: BaseModel](model: type[M], document: Document) -> M | None:
    try:
        return parse(model, dict(document.spec))
    except InvalidManifest:
        return None
