"""A run on one rank: resume, then step, save and evaluate to the last step, then export."""

import logging
import math
import time
from dataclasses import dataclass
from typing import Any

import torch

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import TrainingRun
from pretrain_workloads.trainer.blocks.batches import GlobalBatch, Stopwatch
from pretrain_workloads.trainer.blocks.dataset import Dataset
from pretrain_workloads.trainer.blocks.read_checksum import ReadChecksum
from pretrain_workloads.trainer.checkpoint.loader import CheckpointLoader
from pretrain_workloads.trainer.checkpoint.rollbacks import Rollbacks
from pretrain_workloads.trainer.checkpoint.run_files import RunFiles
from pretrain_workloads.trainer.checkpoint.saver import CheckpointSaver, RunHistory
from pretrain_workloads.trainer.evaluation import (
    EvaluationStopped,
    held_out_losses,
    loss_of_all,
    named_losses,
)
from pretrain_workloads.trainer.export.model_export import ModelExport
from pretrain_workloads.trainer.megatron.forward_backward import (
    RankFlags,
    StepTotals,
    forward_backward,
)
from pretrain_workloads.trainer.megatron.optimizer import (
    clip_and_step,
    set_learning_rate,
    sum_gradients,
    zero_gradients,
)
from pretrain_workloads.trainer.megatron.parallel_model import ParallelModel
from pretrain_workloads.trainer.pod.heartbeat import Heartbeat
from pretrain_workloads.trainer.pod.interrupts import Interrupted, StopRequest
from pretrain_workloads.trainer.pod.rank_failures import LossSpiked, NotANumber
from pretrain_workloads.trainer.progress.reporter import ProgressReporter, StepReport
from pretrain_workloads.trainer.rollback.spikes import SpikeDetector
from pretrain_workloads.trainer.run_folder.finished import seal_run
from pretrain_workloads.trainer.schedule import check_continuity, learning_rate

log = logging.getLogger(__name__)

_SHOWN_ROLLBACKS = 16


@dataclass
class Training:
    """The run of one rank, and how far it is."""

    run: TrainingRun
    model: ParallelModel
    optimizer: Any
    dataset: Dataset
    files: RunFiles
    loader: CheckpointLoader
    saver: CheckpointSaver
    rollbacks: Rollbacks
    read: ReadChecksum
    spikes: SpikeDetector
    export: ModelExport
    reporter: ProgressReporter
    stop: StopRequest
    heartbeat: Heartbeat
    step: int = 0
    """Optimizer steps done."""
    saved_step: int = -1
    """Step of the newest checkpoint."""
    saved_at: float = 0.0
    """When it was saved or loaded, by the monotonic clock."""
    spike: str | None = None
    """The spike that the last step has completed."""

    def train(self) -> None:
        """Train from the newest checkpoint to the last step.

        Raises:
            Interrupted: If the ranks were asked to end; a checkpoint is saved.
            NotANumber: If the loss or the gradient is not a number.
            LossSpiked: If the loss has spiked. In both cases the run's folder says where the next
                attempt goes on, and which data it leaves out.
        """
        spec, last = self.run.spec, self.model.layout.steps.count
        self._warn_of_repetition()
        self._resume()
        if self.model.groups.is_any(self.stop.is_requested):
            raise Interrupted(f"nothing to save after step {self.step} of {last}")
        if self.step == 0:
            self._evaluate()
        self.reporter.restart_clock(self.step)
        while self.step < last:
            totals = self._run_step_or_finish_save()
            if self.saver.is_saving and not totals.is_writing:
                self._finish_save()
            if totals.stop_requested:
                self._save()
                raise Interrupted(f"saved after step {self.step} of {last}")
            if totals.save_due or self._is_multiple_of(spec.checkpoint.every.steps):
                self._begin_save()
            if self.step < last and self._is_multiple_of(spec.evaluation.every_steps):
                self._evaluate()
        self._begin_save()
        self._evaluate()
        self._save()
        self.reporter.publish_events()
        self.dataset.finish_checks()

    def _run_step_or_finish_save(self) -> StepTotals:
        try:
            return self.run_step()
        except (NotANumber, LossSpiked) as error:
            if self.saver.is_saving:  # what it saves is from before
                self._finish_save()
            self._roll_back(error)
            raise

    def run_step(self) -> StepTotals:
        """Run one optimizer step and return its totals over all ranks.

        Raises:
            NotANumber: If the loss or the gradient is not a number; the weights are not changed.
            LossSpiked: If a rank found that the step before has completed a spike.
        """
        spec, steps = self.run.spec.training, self.model.layout.steps
        self.reporter.tracker.set_progress(phase="training")

        began, clock = time.perf_counter(), Stopwatch()
        batch = self._next_batch(clock)
        flags = RankFlags(
            stop_requested=self.stop.is_requested,
            save_due=self._is_save_time(),
            is_writing=self.saver.is_writing,
            has_spiked=self.spike is not None,
        )
        zero_gradients(self.model.chunks, self.optimizer)
        totals = forward_backward(self.model, batch, flags)
        if totals.has_spiked:
            raise LossSpiked(self.spike or "another rank has found a spike")
        if not math.isfinite(totals.mean_loss):
            raise NotANumber(f"the loss is {totals.mean_loss}")
        norm = sum_gradients(self.optimizer)
        if not math.isfinite(norm):
            raise NotANumber(f"the norm of the gradient is {norm}, the loss {totals.mean_loss:.4f}")

        rate = learning_rate(spec, steps.tokens(self.step + 1))
        set_learning_rate(self.optimizer, rate, spec.optimizer.weight_decay)
        clip_and_step(self.optimizer, norm)

        self.step += 1
        self.read.add(batch.checksums.values())
        self.spike = self._find_spike(totals.mean_loss, norm)
        self.reporter.report_step(
            StepReport(
                step=self.step,
                loss=totals.mean_loss,
                gradient_norm=norm,
                learning_rate=rate,
                epochs=self.dataset.epochs(batch.end),
                block=self.dataset.locate(batch.end - 1).block,
                data_wait=clock.seconds / (time.perf_counter() - began),
                expert_imbalance=totals.expert_imbalance,
            )
        )
        return totals

    def _next_batch(self, clock: Stopwatch) -> GlobalBatch:
        steps = self.model.layout.steps
        first, size = steps.samples(self.step), steps.batch_size(self.step)
        end = first + size
        with clock.running():
            counted = self.dataset.counted_labels(range(first, end))
        read = self.dataset.training_sample
        return GlobalBatch(read, self.model, first, size, end, counted, clock)

    def complete(self) -> ExitReport:
        """Export the trained model, seal the run, and return this rank's report.

        All ranks compute the logits that the export is checked against; rank 0 does the rest.

        Raises:
            Interrupted: If the pod was asked to end meanwhile; the next attempt exports again.
            UserError: If the tokenizer's artifact or the export's location is wrong, or if another
                attempt holds the lease of the run's folder now.
        """
        if self.export.is_needed:
            ids = torch.from_numpy(self.dataset.training_sample(0).ids[:-1])
            self.export.save_reference_logits(self.model, ids)
        self.heartbeat.expect(math.inf)  # an export needs no other rank
        if self.model.groups.rank > 0:
            return ExitReport(exit_class=ExitClass.COMPLETE)
        if self.export.is_needed:
            self._export()
        snapshot = self.reporter.tracker.snapshot
        self.saver.lease.check()
        artifact = seal_run(self.run, snapshot.summary, snapshot.progress)
        return ExitReport(
            exit_class=ExitClass.COMPLETE,
            artifact=artifact,
            training=snapshot.summary,
            checkpoint=snapshot.progress.checkpoint,
            curve=snapshot.progress.curve,
        )

    def _warn_of_repetition(self) -> None:
        steps = self.model.layout.steps
        epochs = self.dataset.epochs(steps.samples(steps.count))
        if epochs > 1 and self.model.groups.rank == 0:
            log.warning(
                "spec.training.tokens: %d tokens read the token blocks %s times; make a longer "
                "TokenDataset if they should not repeat",
                self.run.spec.training.tokens,
                epochs,
            )

    def _resume(self) -> None:
        marker = self.loader.load(self.optimizer)
        self.saved_at = time.monotonic()
        self.reporter.tracker.set_progress(unsound_checkpoints=self.loader.unsound[-64:])
        self.rollbacks.apply(self.loader.rollbacks)
        self._report_rollbacks()
        if marker is None:
            return
        self.spikes.restore(marker.spikes)
        self.read.restore(marker.read_checksum)
        check_continuity(self.run.spec.training, marker.tokens, marker.learning_rate)
        self.step = self.saved_step = marker.step
        tracker = self.reporter.tracker
        for point in marker.curve:
            tracker.add_loss(point.step, point.loss)
        tracker.set_summary(
            from_step=self.step,
            to_step=self.step,
            tokens=marker.tokens,
            initial_perplexity=marker.initial_perplexity,
            initial_bits_per_byte=marker.initial_bits_per_byte,
            validation=marker.validation,
            loss=marker.curve[-1].loss if marker.curve else None,
        )
        tracker.set_progress(
            step=self.step, tokens=marker.tokens, checkpoint=marker.status(self.files.folder)
        )
        log.info("continue from step %d", self.step)

    def _find_spike(self, loss: float, norm: float) -> str | None:
        """Describe the spike that the step just done completes, if the run is to go back for it."""
        spec = self.run.spec
        tokens = self.model.layout.steps.tokens(self.step)
        if tokens <= spec.training.schedule.warmup.tokens:
            return None
        spike = self.spikes.add(loss, norm)
        if spike and spec.recovery.loss_spike.action == "warn":
            log.warning("the loss has spiked at step %d: %s", self.step, spike)
            return None
        return spike

    def _roll_back(self, error: NotANumber | LossSpiked) -> None:
        """Write down where the next attempt goes on, and which samples it leaves out.

        Raises:
            NotANumber, LossSpiked: As `error`, with that plan.
        """
        cause: Any = "lossSpike" if isinstance(error, LossSpiked) else "notANumber"
        last = self.rollbacks.add(cause, self.step, self.saver.lease)
        self._report_rollbacks()
        if self.model.groups.rank == 0:
            checkpoint = self.rollbacks.newest_checkpoint()
            self.reporter.tracker.set_progress(checkpoint=checkpoint)
        self.reporter.write_snapshot()
        raise type(error)(
            f"{error} (step {last.step + 1}, block {last.block}); the next attempt goes on from "
            f"step {last.resume_step} without samples {last.first_sample} to "
            f"{last.first_sample + last.samples - 1}"
        ) from error

    def _report_rollbacks(self) -> None:
        rollbacks = self.rollbacks.all
        self.reporter.tracker.set_progress(rollbacks=rollbacks[-_SHOWN_ROLLBACKS:])
        self.reporter.tracker.set_summary(rollbacks=len(rollbacks))

    def _is_multiple_of(self, interval: int | None) -> bool:
        """Return whether something that happens every `interval` steps is due after this step."""
        return bool(interval and self.step % interval == 0)

    def _is_save_time(self) -> bool:
        """Return whether a checkpoint is due after this step, by rank 0's clock."""
        minutes = self.run.spec.checkpoint.every.minutes
        return bool(
            minutes
            and self.model.groups.rank == 0
            and time.monotonic() - self.saved_at >= minutes * 60
        )

    def _save(self) -> None:
        """Save the run as it is now, unless that is done, and wait until the save is durable."""
        self._begin_save()
        if self.saver.is_saving:
            self._finish_save()

    def _begin_save(self) -> None:
        """Start to save the run as it is now, unless that has begun; finish an earlier save."""
        if self.saved_step == self.step:
            return
        if self.saver.is_saving:
            self._finish_save()
        tracker = self.reporter.tracker
        tracker.set_progress(phase="saving")
        history = RunHistory(
            learning_rate(self.run.spec.training, self.model.layout.steps.tokens(self.step)),
            tracker.summary.initial_perplexity,
            tracker.summary.initial_bits_per_byte,
            tracker.summary.validation,
            tracker.curve.points,
            len(self.rollbacks.all),
            self.spikes.state,
            self.read.total(self.model.groups.all_gather),
        )
        self.saver.begin(self.optimizer, self.step, history)
        self.saved_step, self.saved_at = self.step, time.monotonic()
        self.reporter.restart_clock(self.step)

    def _finish_save(self) -> None:
        self.reporter.tracker.set_progress(phase="saving")
        status = self.saver.finish()
        self.reporter.tracker.set_progress(checkpoint=status)
        self.reporter.write_snapshot()
        self.reporter.publish_events()
        self.reporter.restart_clock(self.step)

    def _evaluate(self) -> None:
        if not self.run.spec.evaluation.perplexity:
            return
        tracker = self.reporter.tracker
        tracker.set_progress(phase="evaluating")
        try:
            losses = held_out_losses(self.model, self.dataset, self.stop)
        except EvaluationStopped:
            if self.step:
                self._save()
            raise Interrupted(f"stopped during the evaluation after step {self.step}") from None
        if not losses:
            return
        loss = loss_of_all(losses)
        values = {"perplexity": loss.perplexity, "bits_per_byte": loss.bits_per_byte}
        tracker.set_progress(**values)
        tracker.set_summary(**values)
        if self.step == 0:
            tracker.set_summary(**{f"initial_{name}": value for name, value in values.items()})
        sets = named_losses(losses, tracker.summary.validation, is_initial=self.step == 0)
        tracker.set_summary(validation=sets)
        tracker.set_progress(validation=sets)
        self.reporter.report_held_out_loss(self.step)
        self.reporter.write_snapshot()
        self.reporter.restart_clock(self.step)
        for one in sets:
            log.info("perplexity %.2f of %s", one.perplexity, one.name)
        log.info(
            "perplexity %.2f after step %d%s",
            loss.perplexity,
            self.step,
            "" if loss.bits_per_byte is None else f", {loss.bits_per_byte:.4f} bits per byte",
        )

    def _export(self) -> None:
        tracker = self.reporter.tracker
        tracker.set_progress(phase="exporting", eta_seconds=None)
        self.export.fetch_tokenizer()
        result = self.export.convert(self.files.fetch(self.step))
        tracker.set_summary(
            continuations=result.continuations, export_logit_difference=result.difference
        )
        artifact = self.export.publish(self.saver.lease, tracker.summary)
        if artifact is not None:
            tracker.set_summary(export=artifact)
