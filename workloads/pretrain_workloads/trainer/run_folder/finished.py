"""The manifest of a finished run: written last, and read before a run starts."""

from pretrain_api.formulas.steps import steps_of
from pretrain_api.meta import ApiModel
from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import TrainingRun
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.progress import Progress, TrainingSummary
from pretrain_workloads.storage import read_manifest, seal_manifest
from pretrain_workloads.trainer.run_folder.folders import KIND, run_folder

PACKAGES = ("torch", "megatron-core", "transformers", "numpy")
_CURVE = "curve"


def finished_report(run: TrainingRun) -> ExitReport | None:
    """Return the report of a finished run, or `None` if steps remain."""
    folder = run_folder(run)
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    progress = Progress.model_validate(manifest.summary[_CURVE])
    summary = TrainingSummary.model_validate(
        {key: value for key, value in manifest.summary.items() if key != _CURVE}
    )
    if summary.to_step < steps_of(run.spec.training).count:
        return None
    return ExitReport(
        exit_class=ExitClass.COMPLETE,
        artifact=ArtifactRef(uri=folder.uri, digest=run.inputs.digest),
        reused=True,
        training=summary,
        checkpoint=progress.checkpoint,
        curve=progress.curve,
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
