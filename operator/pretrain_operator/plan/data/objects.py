"""An object that produces an artifact: its spec, its inputs, and the digest of both."""

from collections.abc import Mapping
from dataclasses import dataclass

from pretrain_api.artifacts import artifact_uri
from pretrain_api.digests import content_of, digest
from pretrain_api.kinds import DATA_PIPELINE, TOKEN_DATASET, TOKENIZER
from pretrain_api.meta import RETRY_ANNOTATION, Location, Reference
from pretrain_api.problems import InvalidManifest
from pretrain_api.runs import OpenedArtifact
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec
from pretrain_api.v1alpha1.tokendataset import TokenDatasetSpec
from pretrain_api.v1alpha1.tokenizer import TokenizerSpec
from pretrain_operator.admission.objects import object_problems, refusals
from pretrain_operator.observed.objects import Key, ObjectReader, ObservedObject, read_spec
from pretrain_operator.plan.dependencies import require_artifacts

DataObjectSpec = DataPipelineSpec | TokenizerSpec | TokenDatasetSpec

_SPECS: dict[str, type[DataObjectSpec]] = {
    DATA_PIPELINE.name: DataPipelineSpec,
    TOKENIZER.name: TokenizerSpec,
    TOKEN_DATASET.name: TokenDatasetSpec,
}


@dataclass(frozen=True)
class DataObject:
    """An object that produces an artifact, and the artifacts that it is made from."""

    owner: ObservedObject
    spec: DataObjectSpec
    inputs: Mapping[str, OpenedArtifact]
    """Keyed by the path of the field that refers to the artifact."""

    @property
    def digest(self) -> str:
        """Return the digest of content and retry annotation; a new digest needs new stages."""
        retry = self.owner.annotations.get(RETRY_ANNOTATION, "")
        return digest(self.content, retry) if retry else self.content

    @property
    def content(self) -> str:
        """Return the digest of everything that determines the artifact."""
        return content_digest(self.spec, self.inputs)

    def artifact_in(self, output: Location) -> ArtifactRef:
        """Return the artifact below `output`, if its content is known before the first stage."""
        key, content = self.owner.key, self.content
        uri = artifact_uri(output.uri, key.kind, key.name, content)
        return ArtifactRef(uri=uri, digest=content)


def read_data_object(owner: ObservedObject, related: ObjectReader) -> DataObject:
    """Return `owner` with its parsed spec and its inputs.

    Raises:
        InvalidManifest: If its spec is invalid.
        DependencyNotReady: If some of its inputs are not ready.
    """
    key = owner.key
    spec = read_spec(_SPECS[key.kind], owner)
    if problems := refusals(object_problems(key.kind, key.name, spec)):
        raise InvalidManifest(problems)
    return DataObject(owner, spec, require_artifacts(input_fields(key, spec), related))


def input_fields(key: Key, spec: DataObjectSpec) -> dict[str, Key]:
    """Return the objects that `spec` refers to, keyed by the path of the field."""

    def target(kind: str, ref: Reference) -> Key:
        return Key(kind, key.namespace, ref.name)

    match spec:
        case TokenizerSpec():
            return {"spec.corpus.pipelineRef": target("DataPipeline", spec.corpus.pipeline_ref)}
        case TokenDatasetSpec():
            parts = {
                f"spec.mixture[{index}].pipelineRef": target("DataPipeline", part.pipeline_ref)
                for index, part in enumerate(spec.mixture)
            }
            return {"spec.tokenizerRef": target("Tokenizer", spec.tokenizer_ref), **parts}
        case DataPipelineSpec():
            return {}


def content_digest(spec: DataObjectSpec, inputs: Mapping[str, OpenedArtifact]) -> str:
    """Return the digest of what determines an artifact, without its location and its placement.

    Fields at their defaults are left out, so that a new field of a later version changes nothing.
    """
    leave_out = () if isinstance(spec, DataPipelineSpec) else ("output",)
    content = content_of(spec, leave_out)
    return digest(content, [inputs[field].digest for field in sorted(inputs)])
