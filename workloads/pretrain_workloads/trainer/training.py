"""The run as one rank lives it: build or resume, step, save, evaluate, export."""

import logging
import time
from dataclasses import dataclass
from typing import Any

from pretrain_api.runs import TrainingRun
from pretrain_api.v1alpha1.progress import CheckpointStatus
from pretrain_workloads.trainer.blocks.batches import micro_batches
from pretrain_workloads.trainer.blocks.dataset import Dataset
from pretrain_workloads.trainer.checkpoint.checkpoints import Checkpoints
from pretrain_workloads.trainer.evaluation import Stopped, perplexity
from pretrain_workloads.trainer.megatron.forward_backward import Sums, optimizer_step, run_passes
from pretrain_workloads.trainer.megatron.optimizer import set_learning_rate
from pretrain_workloads.trainer.megatron.parallel_layout import Layout
from pretrain_workloads.trainer.megatron.process_groups import World
from pretrain_workloads.trainer.pod.ends import Interrupted
from pretrain_workloads.trainer.pod.interrupts import StopRequest
from pretrain_workloads.trainer.pod.workspace import Workspace
from pretrain_workloads.trainer.progress.flops import flops_per_token
from pretrain_workloads.trainer.progress.speed import SpeedMeter
from pretrain_workloads.trainer.progress.tracker import Tracker
from pretrain_workloads.trainer.schedule import learning_rate

log = logging.getLogger(__name__)


@dataclass
class Training:
    """Everything that a step needs."""

    run: TrainingRun
    layout: Layout
    world: World
    dataset: Dataset
    chunks: list[Any]
    optimizer: Any
    checkpoints: Checkpoints
    tracker: Tracker
    workspace: Workspace
    stop: StopRequest
    step: int = 0
    saved_step: int = -1
    saved_at: float = 0.0

    def __post_init__(self) -> None:
        """Start the clocks."""
        self._speed = SpeedMeter(self.layout.tokens_per_step, self.layout.train_iters)
        self._noted_at = 0.0

    def train(self) -> None:
        """Train to the last step, from wherever the newest checkpoint left off.

        Raises:
            Interrupted: If the ranks were asked to end; a checkpoint is saved.
            NotANumber: If the loss or the gradient is none.
        """
        self._warn_of_repetition()
        self._resume()
        if self.step == 0:
            self._evaluate(initial=True)
        self._speed.mark(self.step, time.monotonic())
        while self.step < self.layout.train_iters:
            is_save_due = self._run_step()
            if is_save_due:
                self.save()
            every = self.run.spec.evaluation.every_steps
            if every and self.step % every == 0 and self.step < self.layout.train_iters:
                self._evaluate()
        if self.saved_step != self.step:
            self.save()
        self._evaluate()

    def _warn_of_repetition(self) -> None:
        epochs = self.dataset.epochs(self.layout.train_iters * self.layout.global_batch_size)
        if epochs > 1 and self.world.rank == 0:
            log.warning(
                "spec.training.tokens: %d tokens read the token blocks %s times; make a longer "
                "TokenDataset if they should not repeat",
                self.run.spec.training.tokens,
                epochs,
            )

    def _resume(self) -> None:
        marker = self.checkpoints.load(self.chunks, self.optimizer)
        self.saved_at = time.monotonic()
        if marker is not None:
            self.step = self.saved_step = marker.step
            for point in marker.curve:
                self.tracker.add_loss(point.step, point.loss)
            self.tracker.set_summary(
                from_step=self.step,
                to_step=self.step,
                tokens=marker.tokens,
                initial_perplexity=marker.initial_perplexity,
                loss=marker.curve[-1].loss if marker.curve else None,
            )
            self.tracker.set_progress(
                step=self.step,
                tokens=marker.tokens,
                checkpoint=self.checkpoints.status(marker),
            )
            log.info("continue from step %d", self.step)

    def _run_step(self) -> bool:
        """Run one step; return whether a checkpoint is due.

        Raises:
            Interrupted: If any rank was asked to end; a checkpoint is saved.
        """
        self.tracker.set_progress(phase="training")
        first = self.step * self.layout.global_batch_size
        tokens = (self.step + 1) * self.layout.tokens_per_step
        rate = learning_rate(self.run.spec.training, tokens)
        decay = self.run.spec.training.optimizer.weight_decay
        sums, norm = optimizer_step(
            self.chunks,
            self.optimizer,
            lambda: self._passes(first),
            lambda: set_learning_rate(self.optimizer, rate, decay),
        )
        self.step += 1
        self._note_step(sums, norm, rate)
        is_stop_asked, is_time_due = (count > 0 for count in sums.flags)
        if is_stop_asked:
            self.save()
            raise Interrupted(f"saved after step {self.step} of {self.layout.train_iters}")
        every = self.run.spec.checkpoint.every.steps
        return is_time_due or bool(every and self.step % every == 0)

    def _passes(self, first: int) -> Sums:
        return run_passes(
            self.chunks,
            self.layout,
            self.world,
            lambda: micro_batches(
                self.layout,
                self.dataset.training_sequence,
                first,
                first + self.layout.global_batch_size,
                self.world.device,
            ),
            flags=[self.stop.is_asked, self._is_time_due()],
            forward_only=False,
        )

    def _is_time_due(self) -> bool:
        """Return whether, by rank 0's clock, it is time for a checkpoint after this step."""
        minutes = self.run.spec.checkpoint.every.minutes
        return bool(
            minutes and self.world.rank == 0 and time.monotonic() - self.saved_at >= minutes * 60
        )

    def _note_step(self, sums: Sums, norm: float, rate: float) -> None:
        tokens = self.step * self.layout.tokens_per_step
        now = time.monotonic()
        speed = self._speed.mark(self.step, now)
        changes: dict[str, Any] = {}
        if speed is not None:
            per_device = speed.tokens_per_second / self.layout.world_size
            flops = flops_per_token(
                self.run.spec.model, self.layout.padded_vocabulary_size, self.layout.seq_length
            )
            peak = self.run.peak_flops
            changes = {
                "tokens_per_second_per_gpu": per_device,
                "mfu": per_device * flops / peak if peak else None,
                "eta_seconds": speed.eta_seconds,
            }
        self.tracker.add_loss(self.step, sums.mean_loss)
        epochs = self.dataset.epochs(self.step * self.layout.global_batch_size)
        self.tracker.set_summary(
            to_step=self.step, tokens=tokens, epochs=epochs, loss=sums.mean_loss
        )
        self.tracker.set_progress(
            step=self.step,
            tokens=tokens,
            loss=sums.mean_loss,
            learning_rate=rate,
            gradient_norm=norm,
            epochs=epochs,
            block=self.dataset.locate(self.step * self.layout.global_batch_size - 1).block,
            **changes,
        )
        if now - self._noted_at >= 1.0:  # the launcher's copy, for when this process is killed
            self._noted_at = now
            self._write_note()
        log.info("step %d: loss %.6f, gradient %.4f", self.step, sums.mean_loss, norm)

    def _write_note(self) -> None:
        if self.world.rank == 0:
            self.workspace.write_note(self.tracker.note)

    def save(self) -> CheckpointStatus:
        """Save a checkpoint."""
        self.tracker.set_progress(phase="saving")
        status = self.checkpoints.save(
            self.chunks,
            self.optimizer,
            self.step,
            self.tracker.summary.initial_perplexity,
            self.tracker.curve.points,
        )
        self.saved_step, self.saved_at = self.step, time.monotonic()
        self.tracker.set_progress(checkpoint=status)
        self._write_note()
        self._continue_clock()
        return status

    def _evaluate(self, initial: bool = False) -> None:
        if not self.run.spec.evaluation.perplexity:
            return
        self.tracker.set_progress(phase="evaluating")
        try:
            value = perplexity(
                self.chunks, self.layout, self.world, self.dataset, lambda: self.stop.is_asked
            )
        except Stopped:
            if self.step and self.saved_step != self.step:
                self.save()
            raise Interrupted(f"stopped during the evaluation after step {self.step}") from None
        self.tracker.set_progress(perplexity=value)
        self.tracker.set_summary(perplexity=value)
        if initial:
            self.tracker.set_summary(initial_perplexity=value)
        self._write_note()
        self._continue_clock()
        log.info("perplexity %s after step %d", value, self.step)

    def _continue_clock(self) -> None:
        """Measure the speed from here: what was between two steps is not training."""
        self._speed.pause()
        self._speed.mark(self.step, time.monotonic())
