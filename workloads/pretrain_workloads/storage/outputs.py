"""The folder of the artifact that a run makes."""

from pretrain_api.runs import DatasetRun, PipelineRun, TokenizerRun
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage.folder import Folder
from pretrain_workloads.storage.opening import open_uri, secret_name


def open_output(run: PipelineRun | TokenizerRun | DatasetRun) -> Folder:
    """Return the folder of the artifact that `run` makes, whether or not it exists.

    Raises:
        UserError: If the run names no artifact, as before the stage `list` of a DataPipeline.
    """
    if run.artifact is None:
        raise UserError("run.artifact: is required after the stage `list`")
    return open_uri(run.artifact.uri, secret_name(run.spec.output))
