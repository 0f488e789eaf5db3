"""Saves a run with Megatron-core's distributed checkpoints, while training goes on."""

import logging
import queue
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from megatron.core import dist_checkpointing, parallel_state
from megatron.core.dist_checkpointing.strategies import filesystem_async
from megatron.core.dist_checkpointing.strategies.fully_parallel import (
    FullyParallelSaveStrategyWrapper,
)
from megatron.core.dist_checkpointing.strategies.torch import TorchDistSaveShardedStrategy

from pretrain_api.artifacts import ArtifactFile
from pretrain_api.runs import TrainingRun
from pretrain_api.v1alpha1.progress import CheckpointStatus, CurvePoint, ValidationLoss
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage.errors import StorageFull, name_full_storage
from pretrain_workloads.trainer.checkpoint import rank_state, store
from pretrain_workloads.trainer.checkpoint.run_files import RunFiles
from pretrain_workloads.trainer.checkpoint.save import Save, Staging
from pretrain_workloads.trainer.megatron.parallel_model import ParallelModel
from pretrain_workloads.trainer.rollback.spikes import SpikeState
from pretrain_workloads.trainer.run_folder.lease import Lease

log = logging.getLogger(__name__)

# Megatron-core starts a server process for the results of its writers, which only its own processes
# need: it would cost each rank seconds and the memory of another import of torch.
filesystem_async._results_queue = queue.Queue()

STALLED_SECONDS = 600.0
"""A save of which the storage takes nothing for so long has failed."""


@dataclass(frozen=True)
class RunHistory:
    """What a checkpoint holds of the run so far, beside the tensors."""

    learning_rate: float | None = None
    """Learning rate of the last step."""
    initial_perplexity: float | None = None
    """Perplexity before the first step."""
    initial_bits_per_byte: float | None = None
    """The same loss, in bits a byte of text."""
    validation: list[ValidationLoss] = field(default_factory=list)
    """Losses of the validation sets, if there are several."""
    curve: list[CurvePoint] = field(default_factory=list)
    """Loss over the run so far."""
    rollbacks: int = 0
    """How many rollbacks there were."""
    spikes: SpikeState = field(default_factory=SpikeState)
    """What the steps so far are judged by."""
    read_checksum: str | None = None
    """Checksum of all samples that were read."""


@dataclass(frozen=True)
class _Started:
    """A save that is not committed yet."""

    save: Save
    marker: store.Marker
    """Its marker, without files."""
    began: float
    paused_seconds: float
    """How long training stopped for it."""


class CheckpointSaver:
    """Saves checkpoints. All ranks call every method together, but not the properties.

    Each rank writes its own part, in a thread: training goes on between `begin` and `finish`. Every
    weight and state is written by one rank only, and all ranks write about as much.

    Args:
        run: The attempt.
        model: The model to save.
        files: The run's files.
    """

    def __init__(self, run: TrainingRun, model: ParallelModel, files: RunFiles) -> None:
        self._run, self._model, self._files = run, model, files
        self._strategy = FullyParallelSaveStrategyWrapper(
            TorchDistSaveShardedStrategy(),
            parallel_state.get_data_parallel_group(with_context_parallel=True),
            do_cache_distribution=True,
        )
        self._staging = Staging()
        self._started: _Started | None = None
        self.lease = Lease(run, files.folder)
        """The lease of the folder, to be checked before anything is committed to it."""

    @property
    def is_saving(self) -> bool:
        """Return whether a save has begun that is not finished."""
        return self._started is not None

    @property
    def is_writing(self) -> bool:
        """Return whether this rank still writes its part."""
        return self._started is not None and self._started.save.is_writing

    def begin(
        self,
        optimizer: Any,
        step: int,
        history: RunHistory,
    ) -> None:
        """Start to save the run after `step` optimizer steps.

        Raises:
            LeaseLost: If this attempt does not hold the lease any more; the folder is not changed.
            StorageFull: If the volume has no room for the checkpoint; nothing is written.
        """
        began = time.monotonic()
        groups, layout = self._model.groups, self._model.layout
        if groups.rank == 0:
            self.lease.check()
            store.delete(self._files.folder, step)
        groups.barrier()
        save = self._plan(optimizer, step)
        self._check_space(step, save)
        save.start()
        marker = store.Marker(
            step=step,
            samples=layout.steps.samples(step),
            tokens=layout.steps.tokens(step),
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            layout=rank_state.parallel_sizes(layout),
            shape=rank_state.model_sizes(layout),
            distributed_optimizer=self._run.spec.parallelism.distributed_optimizer,
            learning_rate=history.learning_rate,
            initial_perplexity=history.initial_perplexity,
            initial_bits_per_byte=history.initial_bits_per_byte,
            validation=history.validation,
            curve=history.curve,
            rollbacks=history.rollbacks,
            spikes=history.spikes,
            read_checksum=history.read_checksum,
            files=[],
        )
        self._started = _Started(save, marker, began, time.monotonic() - began)

    def finish(self) -> CheckpointStatus:
        """Wait until all ranks have written, commit the checkpoint, and delete expired ones.

        Raises:
            LeaseLost: If this attempt does not hold the lease any more.
            OSError: If a rank could not write its part; the whole checkpoint is deleted.
            UserError: If the storage refused it for a reason that only the user can mend.
        """
        assert self._started is not None
        started, self._started = self._started, None
        waited = time.monotonic()
        self._wait(started.save)
        self._check_failures(started)
        marker = self._complete(started)
        now = time.monotonic()
        seconds, paused = now - started.began, started.paused_seconds + now - waited
        log.info(
            "checkpoint of step %d: %.1f MB in %.1f s, for which training stopped for %.2f s",
            marker.step,
            sum(file.bytes for file in marker.files) / 1e6,
            seconds,
            paused,
        )
        return marker.status(self._files.folder).model_copy(
            update={"seconds": round(seconds, 2), "paused_seconds": round(paused, 2)}
        )

    def _complete(self, started: _Started) -> store.Marker:
        """Write the index and the marker of a checkpoint whose parts are all written."""
        groups, step = self._model.groups, started.marker.step
        try:
            with name_full_storage(self._files.uri(step), self._files.local(step).parent):
                started.save.finish()
                parts = groups.all_gather([*started.save.files, *self._publish_index(step)])
                files = sorted((one for part in parts for one in part), key=lambda one: one.path)
                marker = started.marker.model_copy(update={"files": files})
                if groups.rank == 0:
                    self._commit(marker)
        except OSError:
            if groups.rank == 0:
                with suppress(OSError):  # what was written says more
                    store.delete(self._files.folder, step)
            raise
        groups.barrier()
        return marker

    def _plan(self, optimizer: Any, step: int) -> Save:
        local = self._files.local(step)
        local.mkdir(parents=True, exist_ok=True)
        state = rank_state.sharded_state(self._model, optimizer, is_loading=False, with_random=True)
        request = dist_checkpointing.save(
            state, str(local), self._strategy, async_sharded_save=True, async_strategy="mcore"
        )
        return Save(request, self._files.folder, store.path_of(step), self._staging)

    def _check_space(self, step: int, save: Save) -> None:
        """Raise `StorageFull` on all ranks if the volume has no room for their parts."""
        (needed,) = self._model.groups.all_reduce(save.planned_bytes)
        if not self._files.folder.is_local:
            return
        free = shutil.disk_usage(self._files.local(step)).free
        if self._model.groups.is_any(free < needed):
            self._drop(step)
            raise StorageFull(
                f"{self._files.uri(step)}: needs {needed:,.0f} bytes, but {free:,} are free; free "
                "some, enlarge the volume, or lower spec.checkpoint.keep.last"
            )

    def _wait(self, save: Save) -> None:
        """Wait until no rank writes any more; storage that takes anything is given more time."""
        most, since = -1.0, time.monotonic()
        while True:
            writing, written = self._model.groups.all_reduce(save.is_writing, save.written_bytes)
            if not writing:
                return
            if written > most:
                most, since = written, time.monotonic()
            elif time.monotonic() - since > STALLED_SECONDS:
                raise TimeoutError(
                    f"{self._files.folder.uri}: took nothing of a checkpoint for "
                    f"{STALLED_SECONDS:.0f} s"
                )
            save.wait(1.0)

    def _check_failures(self, started: _Started) -> None:
        """Drop the checkpoint and raise the same error on all ranks if one could not write."""
        mine = started.save.failure
        failures = [one for one in self._model.groups.all_gather(_description(mine)) if one]
        if not failures:
            return
        self._drop(started.marker.step)
        (needed,) = self._model.groups.all_reduce(started.save.planned_bytes)
        ranks = f" (and {len(failures) - 1} more ranks)" if len(failures) > 1 else ""
        message = f"{failures[0][1]}{ranks}; the whole checkpoint needs {needed:,.0f} bytes"
        raise (UserError if all(one[0] for one in failures) else OSError)(message) from mine

    def _publish_index(self, step: int) -> list[ArtifactFile]:
        """Publish the files that Megatron-core's rank 0 wrote: they tell where what is."""
        if self._model.groups.rank > 0:
            return []
        local, path = self._files.local(step), store.path_of(step)
        published = [
            self._files.folder.write_bytes(f"{path}/{file.name}", file.read_bytes())
            for file in sorted(local.iterdir())
            if file.suffix != store.TENSORS
        ]
        self._files.discard_local()
        return [one.model_copy(update={"path": Path(one.path).name}) for one in published]

    def _commit(self, marker: store.Marker) -> None:
        """Write the marker if all files have arrived, then delete expired checkpoints."""
        folder, path = self._files.folder, store.path_of(marker.step)
        sizes = {file.path: file.size for file in folder.find(path)}
        for file in marker.files:
            size = sizes.get(f"{path}/{file.path}", 0)
            if size != file.bytes:
                raise OSError(
                    f"{folder.uri_of(path)}/{file.path}: {file.bytes} bytes were written, but the "
                    f"storage has {size}"
                )
        self.lease.check()
        store.write_marker(folder, marker)
        # A newer one than this is none of this attempt's, and not known to be sound.
        steps = [one.step for one in store.find(folder).markers if one.step <= marker.step]
        for step in store.expired(steps, self._run.spec.checkpoint.keep):
            store.delete(folder, step)

    def _drop(self, step: int) -> None:
        """Delete what was written of a checkpoint."""
        if self._model.groups.rank == 0:
            store.delete(self._files.folder, step)
        self._model.groups.barrier()


def _description(failure: Exception | None) -> tuple[bool, str] | None:
    """Return whether only the user can mend a failure, and what it says."""
    if failure is None:
        return None
    return isinstance(failure, UserError), str(failure) or type(failure).__name__
