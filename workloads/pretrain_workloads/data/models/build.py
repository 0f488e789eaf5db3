"""Train the models of a spec and write them into the artifact, once, before any task reads."""

from typing import Any

from pretrain_api.artifacts import ArtifactFile
from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec
from pretrain_api.v1alpha1.pipeline.models import TextModels
from pretrain_workloads.data.files import PipelineFiles, model
from pretrain_workloads.data.models.classifier import train_classifier
from pretrain_workloads.data.models.samples import SamplesOf, read_samples
from pretrain_workloads.storage import Folder


def build_models(spec: DataPipelineSpec, folder: Folder, names: PipelineFiles) -> None:
    """Train the models of `spec`, unless that is done.

    Raises:
        UserError: If the samples are too few.
        BadData: If one of their files is damaged.
    """
    if folder.exists(names.models):
        return
    done: dict[str, Any] = {"files": [], "summary": {}}
    for name, samples in _samples(spec.models, int(spec.max_record_bytes)).items():
        classifier, summary = train_classifier(samples)
        file = folder.write_bytes(model(name), classifier.to_bytes())
        done["files"].append(ArtifactFile.model_dump(file, by_alias=True))
        done["summary"][name] = summary.model_dump(by_alias=True)
    folder.write_json(names.models, done)


def _samples(models: TextModels, limit: int) -> dict[str, SamplesOf]:
    """Return the samples of each model that is to be trained, by its name."""
    found = {}
    quality, domain = models.quality, models.domain
    if domain is not None:
        labelled = [(None, source) for source in domain.samples]
        found["domain"] = read_samples("spec.models.domain.samples", labelled, limit)
    if quality is not None and quality.good:
        pairs = [
            *(("good", source) for source in quality.good),
            *(("bad", source) for source in quality.bad),
        ]
        found["quality"] = read_samples("spec.models.quality", pairs, limit)
    return found
