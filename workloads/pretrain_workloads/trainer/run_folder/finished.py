"""A run's folders in storage, and the manifest that says that it is finished."""

from pretrain_api.artifacts import artifact_uri
from pretrain_api.meta import ApiModel, Location
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import TrainingRun
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.progress import Progress, TrainingSummary
from pretrain_workloads.storage import Folder, open_location, read_manifest, seal_manifest

KIND = "PretrainJob"
PACKAGES = ("torch", "megatron-core", "transformers", "numpy")
_CURVE = "curve"


def run_folder(run: TrainingRun) -> Folder:
    """Return the folder of the run: its checkpoints and, in the end, its manifest."""
    return open_location(_located(run, run.spec.checkpoint))


def export_folder(run: TrainingRun) -> Folder | None:
    """Return the folder of the exported model, or `None` if none is asked for."""
    location = run.spec.export.hugging_face
    if location is None:
        return None
    folder = open_location(_located(run, location))
    return folder.child("hugging-face") if folder.uri == run_folder(run).uri else folder


def _located(run: TrainingRun, location: Location) -> Location:
    uri = artifact_uri(location.uri, KIND, run.name, run.inputs.digest)
    return Location(uri=uri, credentials_secret_ref=location.credentials_secret_ref)


def finished_report(run: TrainingRun) -> ExitReport | None:
    """Return the report of a run that is finished, or `None` if steps are left to do."""
    folder = run_folder(run)
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    note = Progress.model_validate(manifest.summary[_CURVE])
    summary = TrainingSummary.model_validate(
        {key: value for key, value in manifest.summary.items() if key != _CURVE}
    )
    if summary.to_step < run.spec.training.train_iters:
        return None
    return ExitReport(
        exit_class=ExitClass.COMPLETE,
        artifact=ArtifactRef(uri=folder.uri, digest=run.inputs.digest),
        reused=True,
        training=summary,
        checkpoint=note.checkpoint,
        curve=note.curve,
    )


def seal_run(run: TrainingRun, summary: TrainingSummary, progress: Progress) -> ArtifactRef:
    """Write the manifest of the finished run."""
    folder = run_folder(run)
    last = Progress(checkpoint=progress.checkpoint, curve=progress.curve)
    seal_manifest(
        folder,
        PACKAGES,
        **identity(run),
        summary=_dump(summary) | {_CURVE: _dump(last)},
    )
    return ArtifactRef(uri=folder.uri, digest=run.inputs.digest)


def identity(run: TrainingRun) -> dict[str, object]:
    """Return the fields that the manifests of a run's artifacts share."""
    return {
        "kind": KIND,
        "name": run.name,
        "digest": run.inputs.digest,
        "spec": _dump(run.spec),
        "inputs": [
            ArtifactRef(uri=one.uri, digest=one.digest) for one in (run.dataset, run.tokenizer)
        ],
    }


def _dump(value: ApiModel) -> dict[str, object]:
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)
