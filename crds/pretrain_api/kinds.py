"""The kinds: their types, names, printer columns and rules."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from pretrain_api.rules.catalogue import enforced
from pretrain_api.v1alpha1.computeprofile import ComputeProfileSpec, ComputeProfileStatus
from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec, DataPipelineStatus
from pretrain_api.v1alpha1.pretrainjob import PretrainJobSpec, PretrainJobStatus
from pretrain_api.v1alpha1.tokendataset import TokenDatasetSpec, TokenDatasetStatus
from pretrain_api.v1alpha1.tokenizer import TokenizerSpec, TokenizerStatus


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`."""

    name: str
    path: str
    type: Literal["string", "integer", "number", "boolean", "date"] = "string"
    wide: bool = False
    """Shown only by `kubectl get -o wide`."""


@dataclass(frozen=True)
class CelRule:
    """One entry of `x-kubernetes-validations`, on `spec`."""

    rule: str
    """CEL text, over `self` (and `oldSelf`, for a rule about changes)."""

    message: str
    """What is wrong and what to do, in one line."""

    message_expression: str | None = None
    """CEL text of a message with the values in it; `message` is shown where it fails."""

    field_path: str | None = None
    """Field that the error points at, such as `.model.layers`."""


def cel_rules(kind: str) -> tuple[CelRule, ...]:
    """Return the admission rules of `kind` in the form that a CRD carries."""
    return tuple(
        CelRule(rule.holds, rule.plain_message, rule.message_expression, f".{rule.field}")
        for rule in enforced(kind)
    )


@dataclass(frozen=True)
class Kind:
    """One kind of our API."""

    name: str
    plural: str
    short_name: str
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[Column, ...]
    namespaced: bool = True
    rules: tuple[CelRule, ...] = ()


_READY = Column("Ready", '.status.conditions[?(@.type=="Ready")].status')
_PHASE = Column("Phase", ".status.phase")
_AGE = Column("Age", ".metadata.creationTimestamp", "date")
_ARTIFACT = Column("Artifact", ".status.artifact.uri", wide=True)
_MESSAGE = Column("Message", ".status.message", wide=True)

COMPUTE_PROFILE = Kind(
    "ComputeProfile",
    "computeprofiles",
    "cp",
    ComputeProfileSpec,
    ComputeProfileStatus,
    (
        Column("Accelerator", ".spec.accelerator.name"),
        Column("Per-Node", ".spec.accelerator.perNode", "integer"),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        _AGE,
    ),
    namespaced=False,
    rules=cel_rules("ComputeProfile"),
)

DATA_PIPELINE = Kind(
    "DataPipeline",
    "datapipelines",
    "dp",
    DataPipelineSpec,
    DataPipelineStatus,
    (
        _READY,
        _PHASE,
        Column("Read", ".status.summary.read", "integer"),
        Column("Kept", ".status.summary.kept", "integer"),
        _AGE,
        _ARTIFACT,
        _MESSAGE,
    ),
    rules=cel_rules("DataPipeline"),
)

TOKENIZER = Kind(
    "Tokenizer",
    "tokenizers",
    "tok",
    TokenizerSpec,
    TokenizerStatus,
    (
        _READY,
        _PHASE,
        Column("Vocabulary", ".status.summary.vocabularySize", "integer"),
        Column("ZH", ".status.summary.charactersPerToken.zh", "number"),
        Column("EN", ".status.summary.charactersPerToken.en", "number"),
        Column("CODE", ".status.summary.charactersPerToken.code", "number"),
        _AGE,
        _ARTIFACT,
        _MESSAGE,
    ),
    rules=cel_rules("Tokenizer"),
)

TOKEN_DATASET = Kind(
    "TokenDataset",
    "tokendatasets",
    "td",
    TokenDatasetSpec,
    TokenDatasetStatus,
    (
        _READY,
        _PHASE,
        Column("Tokens", ".status.summary.tokens", "integer"),
        Column("Blocks", ".status.summary.blocks", "integer"),
        _AGE,
        _ARTIFACT,
        _MESSAGE,
    ),
    rules=cel_rules("TokenDataset"),
)

PRETRAIN_JOB = Kind(
    "PretrainJob",
    "pretrainjobs",
    "pj",
    PretrainJobSpec,
    PretrainJobStatus,
    (
        _READY,
        _PHASE,
        Column("Step", ".status.progress.step", "integer"),
        Column("Steps", ".status.progress.totalSteps", "integer"),
        Column("Loss", ".status.progress.loss", "number"),
        Column("PPL", ".status.progress.perplexity", "number"),
        Column("BITS/BYTE", ".status.progress.bitsPerByte", "number"),
        Column("Tok/s/GPU", ".status.progress.tokensPerSecondPerGpu", "number"),
        Column("MFU", ".status.progress.mfu", "number", wide=True),
        Column("Goodput", ".status.goodput.share", "number", wide=True),
        Column("Checkpoint", ".status.checkpoint.step", "integer"),
        Column("ETA", ".status.progress.etaSeconds", "number"),
        _AGE,
        _MESSAGE,
    ),
    rules=cel_rules("PretrainJob"),
)

KINDS = (COMPUTE_PROFILE, DATA_PIPELINE, TOKENIZER, TOKEN_DATASET, PRETRAIN_JOB)
