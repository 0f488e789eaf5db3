"""Saves and loads the run with Megatron-core's distributed checkpoints.

On a volume, all ranks write into the checkpoint's folder itself. On S3, the ranks of a pod write
into its scratch, and the pod's first rank copies that to the folder.
"""

import logging
import queue
import shutil
from pathlib import Path
from typing import Any

import torch
from megatron.core import dist_checkpointing
from megatron.core.dist_checkpointing.strategies import filesystem_async

from pretrain_api.artifacts import ArtifactFile
from pretrain_api.runs import TrainingRun
from pretrain_api.v1alpha1.progress import CheckpointStatus, CurvePoint
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import Folder, local_path
from pretrain_workloads.storage.folder import file_checksum
from pretrain_workloads.trainer.checkpoint import state, store
from pretrain_workloads.trainer.megatron.parallel_layout import Layout
from pretrain_workloads.trainer.megatron.process_groups import World
from pretrain_workloads.trainer.progress.tracker import now
from pretrain_workloads.trainer.run_folder.lease import Lease

log = logging.getLogger(__name__)

# Megatron-core starts a server process for the results of its writers, which only an asynchronous
# save needs: it would cost each rank seconds and the memory of another import of torch.
filesystem_async._results_queue = queue.Queue()


class Checkpoints:
    """The checkpoints of a run, as all ranks together see them."""

    def __init__(
        self, run: TrainingRun, layout: Layout, world: World, folder: Folder, scratch: Path
    ) -> None:
        self._run, self._layout, self._world = run, layout, world
        self._folder, self._scratch = folder, scratch
        self.lease = Lease(run, folder)
        """The lease of the folder, to be checked before anything is committed to it."""

    def save(
        self,
        chunks: list[Any],
        optimizer: Any,
        step: int,
        initial_perplexity: float | None,
        curve: list[CurvePoint],
    ) -> CheckpointStatus:
        """Save the run after `step` optimizer steps, and delete what need not stay.

        Raises:
            LeaseLost: If this attempt does not hold the lease any more; the folder is not changed.
        """
        path = store.path_of(step)
        if self._world.rank == 0:
            self.lease.check()
            store.delete(self._folder, path)
        self._world.barrier()
        local = self._make_local(path)
        described = state.describe(
            chunks, optimizer, self._world, is_loading=False, with_random=True
        )
        dist_checkpointing.save(described, str(local), async_strategy="mcore")
        marker = store.Marker(
            step=step,
            samples=step * self._layout.global_batch_size,
            tokens=step * self._layout.tokens_per_step,
            at=now(),
            layout=state.signature(self._layout),
            distributed_optimizer=self._run.spec.parallelism.distributed_optimizer,
            initial_perplexity=initial_perplexity,
            curve=curve,
            files=self._publish(local, path),
        )
        if self._world.rank == 0:
            text = marker.model_dump_json(by_alias=True, exclude_none=True, indent=1)
            self.lease.check()
            self._folder.write_bytes(f"{path}/{store.MARKER}", text.encode())
            self._retire()
        self._world.barrier()
        return marker.status(self._folder)

    def load(self, chunks: list[Any], optimizer: Any) -> store.Marker | None:
        """Load the newest sound checkpoint; return its marker, or `None` if there is none.

        Raises:
            UserError: If it was saved with another kind of optimizer.
        """
        for marker in self._agreed_markers():
            local = self._fetch(store.path_of(marker.step))
            if not self._is_sound(marker, local):
                self._drop_local(local)
                continue
            self._check_optimizer(marker)
            same = marker.layout == state.signature(self._layout)
            described = state.describe(
                chunks, optimizer, self._world, is_loading=True, with_random=same
            )
            state.restore(chunks, optimizer, dist_checkpointing.load(described, str(local)))
            self._drop_local(local)
            return marker
        return None

    def status(self, marker: store.Marker) -> CheckpointStatus:
        """Return what others see of a checkpoint."""
        return marker.status(self._folder)

    def _make_local(self, path: str) -> Path:
        """Return the folder that the ranks of this pod write into."""
        local = self._local(path)
        is_first = self._world.rank == 0 if self._folder.is_local else self._world.local_rank == 0
        if is_first:
            shutil.rmtree(local, ignore_errors=True)
            local.mkdir(parents=True)
        self._world.barrier()
        return local

    def _local(self, path: str) -> Path:
        if self._folder.is_local:
            return local_path(self._folder.uri_of(path).removeprefix("file://"))
        return self._scratch / path

    def _publish(self, local: Path, path: str) -> list[ArtifactFile]:
        """Bring the files to their place and return them all, with checksums.

        Each rank looks after the files that it wrote, and rank 0 after the common ones.
        """
        self._world.barrier()
        files = []
        for file in sorted(local.iterdir()):
            if not self._is_mine(file.name):
                continue
            if self._folder.is_local:
                checksum, size = file_checksum(file), file.stat().st_size
            else:
                (stored,) = self._folder.upload(file, f"{path}/{file.name}")
                checksum, size = stored.sha256 or "", stored.bytes
            files.append(ArtifactFile(path=file.name, bytes=size, sha256=checksum))
        everyone: list[Any] = [None] * self._world.size
        torch.distributed.all_gather_object(everyone, files)
        self._drop_local(local)
        return sorted((file for part in everyone for file in part), key=lambda file: file.path)

    def _is_mine(self, name: str) -> bool:
        """Return whether this rank wrote a file: `__<rank>_<number>.distcp`, or a common one."""
        if name.startswith("__") and name.endswith(".distcp"):
            return int(name.removeprefix("__").partition("_")[0]) == self._world.rank
        return self._world.rank == 0

    def _drop_local(self, local: Path) -> None:
        if not self._folder.is_local:
            self._world.barrier()
            if self._world.local_rank == 0:
                shutil.rmtree(local, ignore_errors=True)

    def _retire(self) -> None:
        steps = [marker.step for marker in store.find_markers(self._folder)]
        for step in store.expired(steps, self._run.spec.checkpoint.keep):
            store.delete(self._folder, store.path_of(step))

    def _agreed_markers(self) -> list[store.Marker]:
        """Return rank 0's list of checkpoints on all ranks, and delete incomplete ones."""
        found: list[Any] = [None]
        if self._world.rank == 0:
            for path in store.find_incomplete(self._folder):
                log.warning("%s: is incomplete; deleted", self._folder.uri_of(path))
                self._folder.delete(path)
            found = [store.find_markers(self._folder)]
        torch.distributed.broadcast_object_list(found, src=0)
        markers: list[store.Marker] = found[0]
        return markers

    def _is_sound(self, marker: store.Marker, local: Path) -> bool:
        """Return whether all files are whole; the ranks that share `local` divide them."""
        world, uri = self._world, self._folder.uri_of(store.path_of(marker.step))
        share = (world.rank, world.size)
        if not self._folder.is_local:
            share = (world.local_rank, world.processes_per_node)
        problems = store.broken_files(uri, local, marker, *share)
        for problem in problems:
            log.warning("%s; the checkpoint of step %d is skipped", problem, marker.step)
        return not self._world.is_any(bool(problems))

    def _check_optimizer(self, marker: store.Marker) -> None:
        now_is = self._run.spec.parallelism.distributed_optimizer
        if marker.distributed_optimizer != now_is:
            raise UserError(
                f"spec.parallelism.distributedOptimizer: {str(now_is).lower()} cannot continue "
                f"the checkpoint of step {marker.step}, which was saved with "
                f"{str(marker.distributed_optimizer).lower()}; change it back"
            )

    def fetch(self, step: int) -> Path:
        """Return a local folder with the whole checkpoint of a step, on the rank that asks."""
        path = store.path_of(step)
        local = self._local(path)
        if not self._folder.is_local:
            shutil.rmtree(local, ignore_errors=True)
            self._folder.download(path, local)
        return local

    def _fetch(self, path: str) -> Path:
        local = self._local(path)
        if not self._folder.is_local:
            if self._world.local_rank == 0:
                shutil.rmtree(local, ignore_errors=True)
                self._folder.download(path, local)
            self._world.barrier()
        return local
