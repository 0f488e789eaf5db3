"""Where a run writes: the folder with its checkpoints, and the folder of its export."""

from pretrain_api.artifacts import artifact_uri
from pretrain_api.meta import Location
from pretrain_api.runs import TrainingRun
from pretrain_workloads.storage import Folder, open_location

KIND = "PretrainJob"


def run_folder(run: TrainingRun) -> Folder:
    """Return the folder of the run: its lease, its checkpoints and, in the end, its manifest."""
    return open_location(_locate(run, run.spec.checkpoint))


def export_folder(run: TrainingRun) -> Folder | None:
    """Return the folder of the exported model, or `None` if the run has no export."""
    location = run.spec.export.hugging_face
    if location is None:
        return None
    folder = open_location(_locate(run, location))
    return folder.child("hugging-face") if folder.uri == run_folder(run).uri else folder


def _locate(run: TrainingRun, location: Location) -> Location:
    uri = artifact_uri(location.uri, KIND, run.name, run.inputs.digest)
    return Location(uri=uri, credentials_secret_ref=location.credentials_secret_ref)
