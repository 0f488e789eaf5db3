"""Builds everything that a rank trains with."""

from pretrain_api.formulas.parameters import total_parameters
from pretrain_api.runs import TrainingRun
from pretrain_api.v1alpha1.progress import Progress, TrainingSummary
from pretrain_workloads.storage import open_location
from pretrain_workloads.trainer.blocks.dataset import Dataset
from pretrain_workloads.trainer.blocks.read_checksum import ReadChecksum
from pretrain_workloads.trainer.checkpoint import store
from pretrain_workloads.trainer.checkpoint.loader import CheckpointLoader
from pretrain_workloads.trainer.checkpoint.rollbacks import Rollbacks
from pretrain_workloads.trainer.checkpoint.run_files import RunFiles
from pretrain_workloads.trainer.checkpoint.saver import CheckpointSaver
from pretrain_workloads.trainer.export.model_export import ModelExport
from pretrain_workloads.trainer.initial_weights.loading import load_weights
from pretrain_workloads.trainer.megatron.backend import Backend
from pretrain_workloads.trainer.megatron.model import build_model, model_config
from pretrain_workloads.trainer.megatron.optimizer import build_optimizer, wrap_model
from pretrain_workloads.trainer.megatron.parallel_layout import ParallelLayout, plan_layout
from pretrain_workloads.trainer.megatron.parallel_model import ParallelModel
from pretrain_workloads.trainer.megatron.process_groups import init_process_groups
from pretrain_workloads.trainer.pod.heartbeat import Heartbeat
from pretrain_workloads.trainer.pod.interrupts import StopRequest
from pretrain_workloads.trainer.pod.workspace import Workspace
from pretrain_workloads.trainer.progress.curve import LossCurve
from pretrain_workloads.trainer.progress.event_files import EventFiles
from pretrain_workloads.trainer.progress.reporter import ProgressReporter
from pretrain_workloads.trainer.progress.tracker import Tracker
from pretrain_workloads.trainer.rollback.spikes import SpikeDetector
from pretrain_workloads.trainer.run_folder.folders import run_folder
from pretrain_workloads.trainer.training import Training


def build_training(
    run: TrainingRun,
    backend: Backend,
    workspace: Workspace,
    stop: StopRequest,
    heartbeat: Heartbeat,
) -> Training:
    """Connect to the other ranks and return the run of this rank before its first step.

    Raises:
        InvalidLayout: If sizes of the spec do not divide each other.
        UserError: If an input or the Secret that opens it is wrong.
        BadData: If the dataset is broken.
    """
    dataset = Dataset(run, workspace.folder("blocks"))
    layout = plan_layout(run, dataset.block_list.vocabulary_size)
    groups = init_process_groups(run, backend, layout, heartbeat.beat)
    dataset.check_blocks(groups)
    config = model_config(run.spec, layout)
    files = RunFiles(run_folder(run), workspace.folder("checkpoints") / str(groups.rank))
    is_new = groups.broadcast(groups.rank == 0 and not store.find(files.folder).markers)
    existing = run.spec.initialize.hugging_face
    model_chunks = build_model(run.spec, layout, config, draws_weights=is_new and not existing)
    if is_new and existing:
        folder = open_location(existing)
        load_weights(model_chunks, run.spec.model, layout.vocabulary_size, folder)
    limits = run.spec.recovery.loss_spike
    chunks = wrap_model(run.spec, config, model_chunks)
    model = ParallelModel(chunks, layout, groups)
    return Training(
        run=run,
        model=model,
        optimizer=build_optimizer(run.spec, config, chunks),
        dataset=dataset,
        files=files,
        loader=CheckpointLoader(run, model, files),
        saver=CheckpointSaver(run, model, files),
        read=ReadChecksum(),
        rollbacks=Rollbacks(run, model, dataset, files),
        spikes=SpikeDetector(limits.sigma, limits.window),
        export=ModelExport(run, layout, workspace, stop),
        reporter=_build_reporter(run, layout, workspace if groups.rank == 0 else None, files),
        stop=stop,
        heartbeat=heartbeat,
    )


def _build_reporter(
    run: TrainingRun, layout: ParallelLayout, workspace: Workspace | None, files: RunFiles
) -> ProgressReporter:
    events = None
    if workspace is not None:
        events = EventFiles(workspace.folder("tensorboard"), files.folder, run.attempt)
    tracker = Tracker(
        Progress(attempt=run.attempt, total_steps=layout.steps.count),
        TrainingSummary(parameters=total_parameters(layout.model)),
        LossCurve(),
    )
    return ProgressReporter(run, layout, tracker, workspace, events)
