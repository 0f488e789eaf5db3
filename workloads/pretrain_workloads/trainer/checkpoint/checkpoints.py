"""Saves and loads a run with Megatron-core's distributed checkpoints."""

import logging
import queue
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from megatron.core import dist_checkpointing
from megatron.core.dist_checkpointing.strategies import filesystem_async

from pretrain_api.runs import TrainingRun
from pretrain_api.v1alpha1.progress import CheckpointStatus, CurvePoint
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder
from pretrain_workloads.trainer.checkpoint import rank_state, store
from pretrain_workloads.trainer.checkpoint.local_files import LocalFiles
from pretrain_workloads.trainer.megatron.parallel_model import ParallelModel
from pretrain_workloads.trainer.run_folder.lease import Lease

log = logging.getLogger(__name__)

# Megatron-core starts a server process for the results of its writers, which only an asynchronous
# save needs: it would cost each rank seconds and the memory of another import of torch.
filesystem_async._results_queue = queue.Queue()


class Checkpoints:
    """The checkpoints of a run. All ranks call every method together, except `status` and `fetch`.

    Args:
        run: The attempt.
        model: The model to save and load.
        folder: The run's folder.
        scratch: Folder of this pod for copies of checkpoints that are not on a volume.
    """

    def __init__(
        self, run: TrainingRun, model: ParallelModel, folder: Folder, scratch: Path
    ) -> None:
        self._run, self._model, self._folder = run, model, folder
        self._files = LocalFiles(folder, scratch, model.groups)
        self.lease = Lease(run, folder)
        """The lease of the folder, to be checked before anything is committed to it."""

    def save(
        self,
        optimizer: Any,
        step: int,
        initial_perplexity: float | None,
        curve: list[CurvePoint],
    ) -> CheckpointStatus:
        """Save the run after `step` optimizer steps, and delete expired checkpoints.

        Raises:
            LeaseLost: If this attempt does not hold the lease any more; the folder is not changed.
        """
        groups, layout = self._model.groups, self._model.layout
        path = store.path_of(step)
        if groups.rank == 0:
            self.lease.check()
            store.delete(self._folder, path)
        groups.barrier()
        local = self._files.create(path)
        state = rank_state.sharded_state(self._model, optimizer, is_loading=False, with_random=True)
        dist_checkpointing.save(state, str(local), async_strategy="mcore")
        marker = store.Marker(
            step=step,
            samples=step * layout.global_batch_size,
            tokens=step * layout.tokens_per_step,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            layout=rank_state.parallel_sizes(layout),
            distributed_optimizer=self._run.spec.parallelism.distributed_optimizer,
            initial_perplexity=initial_perplexity,
            curve=curve,
            files=self._files.publish(local, path),
        )
        if groups.rank == 0:
            self.lease.check()
            store.write_marker(self._folder, marker)
            self._delete_expired()
        groups.barrier()
        return marker.status(self._folder)

    def load(self, optimizer: Any) -> store.Marker | None:
        """Load the newest sound checkpoint; return its marker, or `None` if there is none.

        Raises:
            UserError: If it was saved with another kind of optimizer.
        """
        for marker in self._list_markers():
            local = self._files.fetch(store.path_of(marker.step))
            if not self._is_sound(marker, local):
                self._files.discard(local)
                continue
            self._check_optimizer(marker)
            state = rank_state.sharded_state(
                self._model,
                optimizer,
                is_loading=True,
                with_random=marker.layout == rank_state.parallel_sizes(self._model.layout),
            )
            state = dist_checkpointing.load(state, str(local))
            rank_state.restore(self._model, optimizer, state)
            self._files.discard(local)
            return marker
        return None

    def status(self, marker: store.Marker) -> CheckpointStatus:
        """Return the public status of a checkpoint."""
        return marker.status(self._folder)

    def fetch(self, step: int) -> Path:
        """Return a local folder with the whole checkpoint of a step, for the calling rank only."""
        return self._files.fetch_alone(store.path_of(step))

    def _delete_expired(self) -> None:
        steps = [marker.step for marker in store.find_markers(self._folder)]
        for step in store.expired(steps, self._run.spec.checkpoint.keep):
            store.delete(self._folder, store.path_of(step))

    def _list_markers(self) -> list[store.Marker]:
        """Return rank 0's list of checkpoints on all ranks; delete incomplete checkpoints."""
        markers: list[Any] = [None]
        if self._model.groups.rank == 0:
            for path in store.find_incomplete(self._folder):
                log.warning("%s: is incomplete; deleted", self._folder.uri_of(path))
                self._folder.delete(path)
            markers = [store.find_markers(self._folder)]
        torch.distributed.broadcast_object_list(markers, src=0)
        agreed: list[store.Marker] = markers[0]
        return agreed

    def _is_sound(self, marker: store.Marker, local: Path) -> bool:
        """Return whether all files are whole; the ranks that see the same files divide the work."""
        uri = self._folder.uri_of(store.path_of(marker.step))
        problems = store.broken_files(uri, local, marker, *self._files.share)
        for problem in problems:
            log.warning("%s; the checkpoint of step %d is skipped", problem, marker.step)
        return not self._model.groups.is_any(bool(problems))

    def _check_optimizer(self, marker: store.Marker) -> None:
        is_distributed = self._run.spec.parallelism.distributed_optimizer
        if marker.distributed_optimizer != is_distributed:
            raise UserError(
                f"spec.parallelism.distributedOptimizer: {str(is_distributed).lower()} cannot "
                f"continue the checkpoint of step {marker.step}, which was saved with "
                f"{str(marker.distributed_optimizer).lower()}; change it back"
            )
