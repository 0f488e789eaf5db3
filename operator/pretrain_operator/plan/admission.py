"""Checks that a manifest's types cannot make: its name, its arithmetic, and other objects."""

import re

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


def run_problems(spec: PretrainJobSpec, profile: ComputeProfileSpec | None) -> list[str]:
    """Return what is wrong with a PretrainJob by itself, and on the nodes of its profile."""
    problems = []
    if spec.training.train_iters < 1:
        step = spec.training.global_batch_size * spec.training.sequence_length
        problems.append(
            f"spec.training.tokens: {spec.training.tokens} is less than one optimizer step, "
            f"globalBatchSize * sequenceLength = {step}; use at least {step}"
        )
    return problems + (_layout_problems(spec, profile) if profile else [])


def _layout_problems(spec: PretrainJobSpec, profile: ComputeProfileSpec) -> list[str]:
    layout = spec.parallelism
    devices = layout.gpus_per_node or profile.accelerator.per_node
    if devices > profile.accelerator.per_node:
        return [
            f"spec.parallelism.gpusPerNode: {devices} is more than "
            f"spec.accelerator.perNode = {profile.accelerator.per_node} of the ComputeProfile; "
            f"use at most {profile.accelerator.per_node}"
        ]
    if layout.is_left_to_planner:
        return []
    world, model = layout.nodes * devices, layout.tensor * layout.pipeline * layout.context
    if world % model:
        return [
            f"spec.parallelism: nodes * gpusPerNode = {world} is not a multiple of "
            f"tensor * pipeline * context = {model}; use {model}, {2 * model} or {3 * model} "
            "devices, or smaller degrees"
        ]
    replicas = world // model * spec.training.micro_batch_size
    if spec.training.global_batch_size % replicas:
        lower = spec.training.global_batch_size // replicas * replicas
        fits = f"{lower} or {lower + replicas}" if lower else f"{replicas}"
        return [
            f"spec.training.globalBatchSize: {spec.training.global_batch_size} is not a multiple "
            f"of dataParallel * microBatchSize = {replicas}; use {fits}"
        ]
    return []


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
