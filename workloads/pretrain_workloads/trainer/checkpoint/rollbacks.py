"""The rollbacks of a run on one rank: those of earlier attempts, and a new one."""

from datetime import UTC, datetime
from typing import Literal

from pretrain_api.runs import TrainingRun
from pretrain_api.v1alpha1.progress import CheckpointStatus, Rollback
from pretrain_workloads.trainer.blocks.dataset import Dataset
from pretrain_workloads.trainer.blocks.skipped import SkippedSamples
from pretrain_workloads.trainer.checkpoint import store
from pretrain_workloads.trainer.checkpoint.run_files import RunFiles
from pretrain_workloads.trainer.megatron.parallel_model import ParallelModel
from pretrain_workloads.trainer.rollback.record import choose_checkpoint, write_rollbacks
from pretrain_workloads.trainer.run_folder.lease import Lease


class Rollbacks:
    """All rollbacks of a run, oldest first. All ranks call every method together.

    Args:
        run: The attempt.
        model: Its model, for the size of a batch.
        dataset: The data, from which they leave out samples.
        files: The run's files.
    """

    def __init__(
        self, run: TrainingRun, model: ParallelModel, dataset: Dataset, files: RunFiles
    ) -> None:
        self._run, self._model, self._dataset, self._files = run, model, dataset, files
        self.all: list[Rollback] = []
        """Read it, but change it with `apply` and `add` only."""

    def apply(self, rollbacks: list[Rollback]) -> None:
        """Leave out the samples of `rollbacks`, which are all of the run."""
        self.all = rollbacks
        self._dataset.skipped = SkippedSamples.of(
            range(one.first_sample, one.first_sample + one.samples) for one in rollbacks
        )

    def add(self, cause: Literal["lossSpike", "notANumber"], step: int, lease: Lease) -> Rollback:
        """Write down where the next attempt goes on, and which samples it leaves out.

        Args:
            cause: What was seen in the step that is being done.
            step: Steps done before it.
            lease: The lease of the run's folder.

        Raises:
            LeaseLost: If this attempt does not hold the lease any more; nothing is written.
        """
        groups = self._model.groups
        rollback: Rollback = groups.broadcast(self._plan(cause, step) if groups.rank == 0 else None)
        self.apply([*self.all, rollback])
        if groups.rank == 0:
            lease.check()
            write_rollbacks(self._files.folder, self.all)
        groups.barrier()  # an agent that sees one rank end ends the others
        return rollback

    def newest_checkpoint(self) -> CheckpointStatus | None:
        """Return the checkpoint that the next attempt goes on from, as rank 0 finds it."""
        markers = store.find(self._files.folder).markers
        return markers[0].status(self._files.folder) if markers else None

    def _plan(self, cause: Literal["lossSpike", "notANumber"], step: int) -> Rollback:
        samples, end = self._model.layout.steps.samples, step + 1
        markers = store.find(self._files.folder).markers
        resume_step = choose_checkpoint([marker.step for marker in markers], step)
        first_step = max(resume_step, end - self._run.spec.recovery.skip_steps)
        skipped = self._dataset.skipped
        first = skipped.data_sample(samples(first_step))
        last = skipped.data_sample(samples(end) - 1)
        return Rollback(
            cause=cause,
            attempt=self._run.attempt,
            step=step,
            block=self._dataset.locate(samples(end) - 1).block,
            resume_step=resume_step,
            first_sample=first,
            samples=last + 1 - first,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
