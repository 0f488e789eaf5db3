"""Reports each step of a run: to the log, to the tracker, and to the pod's launcher."""

import logging
import time
from dataclasses import dataclass
from typing import Any

from pretrain_api.formulas.flops import flops_per_token
from pretrain_api.runs import TrainingRun
from pretrain_workloads.trainer.megatron.parallel_layout import ParallelLayout
from pretrain_workloads.trainer.pod.workspace import Workspace
from pretrain_workloads.trainer.progress.event_files import EventFiles
from pretrain_workloads.trainer.progress.speed import SpeedMeter
from pretrain_workloads.trainer.progress.tracker import Tracker

log = logging.getLogger(__name__)

_SNAPSHOT_SECONDS = 1.0
"""Shortest time between two snapshots of steps."""


@dataclass(frozen=True)
class StepReport:
    """Measurements of one optimizer step."""

    step: int
    """Optimizer steps done, this one included."""
    loss: float
    """Mean cross-entropy, in nats."""
    gradient_norm: float
    """Norm of the gradient before clipping."""
    learning_rate: float
    epochs: float
    """How often the sequences of all blocks were read."""
    block: int
    """Index of the block that was read last."""
    data_wait: float
    """Share of the step's time in which rank 0 waited for data."""
    expert_imbalance: float | None = None
    """How unevenly tokens went to the experts; 1 is even."""


class ProgressReporter:
    """Reports the steps of a run.

    Args:
        run: The attempt.
        layout: Sizes of the run.
        tracker: Gets every step.
        workspace: Gets a snapshot about every second, so that the launcher still knows how far the
            run was when this process is killed. `None` on all ranks but rank 0.
        events: Get every step, for TensorBoard. `None` on all ranks but rank 0.
    """

    def __init__(
        self,
        run: TrainingRun,
        layout: ParallelLayout,
        tracker: Tracker,
        workspace: Workspace | None,
        events: EventFiles | None,
    ) -> None:
        self.tracker = tracker
        self._layout, self._workspace, self._events = layout, workspace, events
        self._speed = SpeedMeter(layout.steps.tokens(layout.steps.count))
        self._flops_per_token = flops_per_token(layout.model, layout.seq_length)
        self._peak_flops = run.peak_flops
        self._written_at = 0.0

    def report_step(self, report: StepReport) -> None:
        """Report a step that has just ended."""
        now = time.monotonic()
        tokens = self._layout.steps.tokens(report.step)
        self.tracker.add_loss(report.step, report.loss)
        self.tracker.set_summary(
            to_step=report.step, tokens=tokens, epochs=report.epochs, loss=report.loss
        )
        self.tracker.set_progress(
            step=report.step,
            tokens=tokens,
            loss=report.loss,
            learning_rate=report.learning_rate,
            gradient_norm=report.gradient_norm,
            epochs=report.epochs,
            block=report.block,
            data_wait=report.data_wait,
            expert_imbalance=report.expert_imbalance,
            **self._measure_speed(tokens, now),
        )
        self._add_events(report)
        if now - self._written_at >= _SNAPSHOT_SECONDS:
            self._written_at = now
            self.write_snapshot()
        log.info(
            "step %d: loss %.6f, gradient %.4f", report.step, report.loss, report.gradient_norm
        )

    def report_held_out_loss(self, step: int) -> None:
        """Report the newest held-out losses to TensorBoard."""
        progress = self.tracker.progress
        if self._events is None or progress.perplexity is None:
            return
        sets = {f"perplexity_{one.name}": one.perplexity for one in progress.validation}
        whole = {"perplexity": progress.perplexity, "bits_per_byte": progress.bits_per_byte}
        self._events.add(step, {f"held_out/{name}": v for name, v in (whole | sets).items()})

    def publish_events(self) -> None:
        """Publish the files for TensorBoard."""
        if self._events is not None:
            self._events.publish()

    def _add_events(self, report: StepReport) -> None:
        if self._events is None:
            return
        progress = self.tracker.progress
        values = {
            "training/loss": report.loss,
            "training/gradient_norm": report.gradient_norm,
            "training/learning_rate": report.learning_rate,
            "training/epochs": report.epochs,
            "speed/tokens_per_second_per_gpu": progress.tokens_per_second_per_gpu,
            "speed/mfu": progress.mfu,
            "speed/data_wait": report.data_wait,
            "training/expert_imbalance": report.expert_imbalance,
        }
        self._events.add(report.step, values)

    def write_snapshot(self) -> None:
        """Write the current progress for the launcher."""
        if self._workspace is not None:
            self._workspace.write_snapshot(self.tracker.snapshot)

    def restart_clock(self, step: int) -> None:
        """Measure the speed from now on, after `step`: saving or evaluating is not training."""
        self._speed.pause()
        self._speed.mark(self._layout.steps.tokens(step), time.monotonic())

    def _measure_speed(self, tokens: int, now: float) -> dict[str, Any]:
        speed = self._speed.mark(tokens, now)
        if speed is None:
            return {}
        per_device = speed.tokens_per_second / self._layout.world_size
        peak = self._peak_flops
        return {
            "tokens_per_second_per_gpu": per_device,
            "mfu": per_device * self._flops_per_token / peak if peak else None,
            "eta_seconds": speed.eta_seconds,
        }
