"""The checkpoints of a run: found, checked, loaded."""

import logging
from typing import Any

from megatron.core import dist_checkpointing, parallel_state
from megatron.core.dist_checkpointing.strategies.fully_parallel import (
    FullyParallelLoadStrategyWrapper,
)
from megatron.core.dist_checkpointing.strategies.torch import TorchDistLoadShardedStrategy

from pretrain_api.runs import TrainingRun
from pretrain_api.v1alpha1.progress import Rollback
from pretrain_workloads.failures import UserError
from pretrain_workloads.trainer.checkpoint import rank_state, store
from pretrain_workloads.trainer.checkpoint.reading import reading_from
from pretrain_workloads.trainer.checkpoint.run_files import RunFiles
from pretrain_workloads.trainer.megatron.parallel_model import ParallelModel

log = logging.getLogger(__name__)


class CheckpointLoader:
    """Loads checkpoints. All ranks call every method together.

    Args:
        run: The attempt.
        model: The model to load into.
        files: The run's files.
    """

    def __init__(self, run: TrainingRun, model: ParallelModel, files: RunFiles) -> None:
        self._run, self._model, self._files = run, model, files
        self.unsound: list[int] = []
        """Steps of the checkpoints that were set aside because they are damaged."""
        self.rollbacks: list[Rollback] = []
        """Rollbacks of the run so far."""

    def load(self, optimizer: Any) -> store.Marker | None:
        """Load the newest sound checkpoint; return its marker, or `None` if there never was one.

        Damaged ones are set aside, so that retention never counts them.

        Raises:
            UserError: If it is of another model or kind of optimizer, or if all are damaged: the
                run would start again from nothing.
        """
        found = self._find()
        self.rollbacks = found.rollbacks
        self.unsound = sorted([*found.unsound, *found.unreadable])
        for marker in found.markers:
            if not self._is_sound(marker):
                continue
            self._check_fits(marker)
            self._load(optimizer, marker)
            return marker
        if self.unsound:
            steps = ", ".join(map(str, self.unsound))
            raise UserError(
                f"{self._files.folder.uri}: all checkpoints (of step {steps}) are damaged; restore "
                "one from a copy, or delete the folder checkpoints to train from the start"
            )
        return None

    def _find(self) -> store.Found:
        """Return what rank 0 finds on all ranks; delete what cannot be used."""
        found = None
        if self._model.groups.rank == 0:
            found = store.find(self._files.folder)
            store.delete_unusable(self._files.folder)
            for step in found.unreadable:
                store.set_aside(self._files.folder, step)
        agreed: store.Found = self._model.groups.broadcast(found)
        return agreed

    def _is_sound(self, marker: store.Marker) -> bool:
        """Return whether all files are whole, and set the checkpoint aside if they are not."""
        groups = self._model.groups
        problems = store.broken_files(self._files.folder, marker, groups.rank, groups.world_size)
        for problem in problems:
            log.warning("%s; the checkpoint of step %d is set aside", problem, marker.step)
        if not groups.is_any(bool(problems)):
            return True
        self.unsound = sorted([*self.unsound, marker.step])
        if groups.rank == 0:
            store.set_aside(self._files.folder, marker.step)
        return False

    def _load(self, optimizer: Any, marker: store.Marker) -> None:
        self._files.fetch_index(marker)
        state = rank_state.sharded_state(
            self._model,
            optimizer,
            is_loading=True,
            with_random=marker.layout == rank_state.parallel_sizes(self._model.layout),
        )
        # What data-parallel ranks hold in common is read by one of them, and sent to the others.
        strategy = FullyParallelLoadStrategyWrapper(
            TorchDistLoadShardedStrategy(),
            parallel_state.get_data_parallel_group(with_context_parallel=True),
        )
        with reading_from(self._files.folder.child(store.path_of(marker.step))):
            state = dist_checkpointing.load(state, str(self._files.local(marker.step)), strategy)
        rank_state.restore(self._model, optimizer, state)
        self._files.discard_local()

    def _check_fits(self, marker: store.Marker) -> None:
        """Check that a checkpoint is one of the same model and the same kind of optimizer.

        Megatron-core would leave out layers that the model does not have.
        """
        sizes = rank_state.model_sizes(self._model.layout)
        # A feature that a model does not have is not written down.
        pairs = {
            name: (marker.shape.get(name, 0), sizes.get(name, 0)) for name in marker.shape | sizes
        }
        others = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
        if others:
            differences = ", ".join(
                f"{name} {theirs}, not {ours}" for name, (theirs, ours) in others.items()
            )
            raise UserError(
                f"{self._files.uri(marker.step)}: is the checkpoint of another model "
                f"({differences}); change spec.model back, or use another spec.checkpoint.uri"
            )
        is_distributed = self._run.spec.parallelism.distributed_optimizer
        if marker.distributed_optimizer != is_distributed:
            raise UserError(
                f"spec.parallelism.distributedOptimizer: {str(is_distributed).lower()} cannot "
                f"continue the checkpoint of step {marker.step}, which was saved with "
                f"{str(marker.distributed_optimizer).lower()}; change it back"
            )
