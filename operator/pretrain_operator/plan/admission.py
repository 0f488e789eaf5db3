"""Checks that a manifest's types cannot make: its name, its arithmetic, and other objects."""

import re

from pydantic import BaseModel

from pretrain_api.rules import check
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec
from pretrain_api.v1alpha1.tokendataset import DatasetSummary

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_MAX_NAME = 63


def name_problems(name: str) -> list[str]:
    """Return what is wrong with an object's name: it becomes a label of every child."""
    if len(name) > _MAX_NAME:
        return [f"metadata.name: {name!r} has {len(name)} characters; use at most {_MAX_NAME}"]
    return [] if _NAME.fullmatch(name) else [f"metadata.name: {name!r} is no DNS subdomain"]


def rule_problems(kind: str, spec: BaseModel) -> list[str]:
    """Return the admission rules that `spec` breaks: an older CRD may have let it through."""
    return [str(problem) for problem in check(kind, spec) if problem.is_refusal]


def run_problems(spec: PretrainJobSpec, profile: ComputeProfileSpec | None) -> list[str]:
    """Return what is wrong with a PretrainJob by itself, and on the nodes of its profile."""
    if profile is None:
        return rule_problems("PretrainJob", spec)
    most, asked = profile.accelerator.per_node, spec.parallelism.gpus_per_node
    if asked is not None and asked > most:
        too_many = (
            f"spec.parallelism.gpusPerNode: {asked} is more than spec.accelerator.perNode = {most} "
            f"of the ComputeProfile; use at most {most}"
        )
        return [too_many, *rule_problems("PretrainJob", spec)]
    layout = spec.parallelism.model_copy(update={"gpus_per_node": asked or most})
    return rule_problems("PretrainJob", spec.model_copy(update={"parallelism": layout}))


def dataset_problems(spec: PretrainJobSpec, dataset: DatasetSummary | None) -> list[str]:
    """Return where a PretrainJob and the token blocks that it reads do not fit together."""
    if dataset is None:
        return []
    problems = []
    if spec.training.sequence_length != dataset.sequence_length:
        problems.append(
            f"spec.training.sequenceLength: {spec.training.sequence_length} is not the "
            f"sequenceLength of the TokenDataset {spec.data.dataset_ref.name}, "
            f"{dataset.sequence_length}; use {dataset.sequence_length}, or cut the dataset anew"
        )
    vocabulary = spec.model.vocabulary_size
    if vocabulary is not None and vocabulary < dataset.vocabulary_size:
        problems.append(
            f"spec.model.vocabularySize: {vocabulary} is less than the {dataset.vocabulary_size} "
            f"ids of the tokenizer; use at least {dataset.vocabulary_size}, or leave it unset"
        )
    return problems
