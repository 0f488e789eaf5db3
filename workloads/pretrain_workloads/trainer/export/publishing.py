"""Uploads the exported model and seals it with a manifest."""

from pathlib import Path

from pretrain_api.artifacts import MANIFEST
from pretrain_api.runs import TrainingRun
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.progress import TrainingSummary
from pretrain_workloads.storage import Folder, seal_manifest
from pretrain_workloads.trainer.run_folder.finished import PACKAGES, identity
from pretrain_workloads.trainer.run_folder.lease import Lease


def publish(
    run: TrainingRun, lease: Lease, folder: Folder, model: Path, summary: TrainingSummary
) -> ArtifactRef:
    """Upload the files of `model` to `folder`, which has no manifest until all are there.

    Raises:
        LeaseLost: If this attempt does not hold the lease of the run's folder any more. Before the
            upload, nothing is changed; after it, no manifest is written.
    """
    lease.check()
    folder.delete(MANIFEST)  # of the shorter run that this one continues
    files = folder.upload(model, "")
    fields = summary.model_dump(mode="json", by_alias=True, exclude_none=True)
    lease.check()
    seal_manifest(folder, PACKAGES, **identity(run), files=files, summary=fields)
    return ArtifactRef(uri=folder.uri, digest=run.inputs.digest)
