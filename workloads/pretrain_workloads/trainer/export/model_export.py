"""Exports the trained model: convert its checkpoint, check the result, publish it."""

import logging
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch

from pretrain_api.runs import TrainingRun
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.progress import TrainingSummary
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import open_artifact
from pretrain_workloads.trainer.export.export_request import ExportRequest, ExportResult
from pretrain_workloads.trainer.export.publishing import publish
from pretrain_workloads.trainer.export.reference_logits import reference_logits
from pretrain_workloads.trainer.megatron.parallel_layout import ParallelLayout
from pretrain_workloads.trainer.megatron.parallel_model import ParallelModel
from pretrain_workloads.trainer.pod.interrupts import Interrupted, StopRequest
from pretrain_workloads.trainer.pod.parent_death import die_with_parent
from pretrain_workloads.trainer.pod.workspace import Workspace
from pretrain_workloads.trainer.run_folder.folders import export_folder
from pretrain_workloads.trainer.run_folder.lease import Lease

log = logging.getLogger(__name__)

TOKENIZER_FILES = (
    "tokenizer.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)

TOLERANCE = {"fp32": 1e-5, "bf16": 5e-2}
"""Largest difference of a logit, relative to the largest logit where that is above one. A bf16
model is computed in bf16 by the ranks and in fp32 for the check."""


class ModelExport:
    """The export of a run: a Hugging Face folder, and continuations of the spec's prompts.

    Call `save_reference_logits` on all ranks, then the other methods on rank 0, in their order.
    """

    def __init__(
        self, run: TrainingRun, layout: ParallelLayout, workspace: Workspace, stop: StopRequest
    ) -> None:
        self._run, self._layout = run, layout
        self._workspace, self._stop = workspace, stop

    @property
    def is_needed(self) -> bool:
        """Return whether the run has an export or prompts."""
        return export_folder(self._run) is not None or bool(self._run.spec.evaluation.prompts)

    def save_reference_logits(self, model: ParallelModel, ids: torch.Tensor) -> None:
        """Save the trained model's logits of one sequence, to check the export against."""
        logits = reference_logits(model, ids)
        if model.groups.rank == 0:
            torch.save({"ids": ids, "logits": logits}, self._logits_file)

    def fetch_tokenizer(self) -> None:
        """Start the export's folder with the files of the tokenizer.

        Raises:
            UserError: If the tokenizer's artifact is incomplete.
        """
        shutil.rmtree(self._output, ignore_errors=True)
        self._output.mkdir()
        folder = open_artifact(self._run.tokenizer)
        files = [name for name in TOKENIZER_FILES if folder.exists(name)]
        if "tokenizer.json" not in files:
            raise UserError(
                f"{folder.uri_of('tokenizer.json')}: does not exist; the Tokenizer's artifact is "
                "incomplete: delete it and let the Tokenizer make it again"
            )
        for name in files:
            folder.download(name, self._output / name)

    def convert(self, checkpoint: Path) -> ExportResult:
        """Convert the checkpoint in a local folder, and check the result.

        Raises:
            Interrupted: If the pod was asked to end meanwhile.
            RuntimeError: If the export fails, or computes other logits than the trained model.
        """
        spec = self._run.spec
        request = ExportRequest(
            checkpoint=str(checkpoint),
            output=str(self._output),
            model=spec.model,
            vocabulary_size=self._layout.vocabulary_size,
            seq_length=self._layout.seq_length,
            precision=spec.training.precision,
            logits=str(self._logits_file),
            prompts=spec.evaluation.prompts,
            temperature=spec.evaluation.temperature,
            seed=spec.training.seed,
            max_new_tokens=min(spec.evaluation.max_new_tokens, self._layout.seq_length - 1),
        )
        result = self._run_exporter(request)
        _check(result, spec.training.precision)
        return result

    def publish(self, lease: Lease, summary: TrainingSummary) -> ArtifactRef | None:
        """Upload the export, if the spec has a place for it, and delete the local files.

        Raises:
            LeaseLost: If this attempt does not hold the lease of the run's folder any more.
        """
        folder = export_folder(self._run)
        artifact = None
        if folder is not None:
            artifact = publish(self._run, lease, folder, self._output, summary)
        shutil.rmtree(self._scratch, ignore_errors=True)
        return artifact

    @property
    def _scratch(self) -> Path:
        return self._workspace.folder("export")

    @property
    def _output(self) -> Path:
        return self._scratch / "model"

    @property
    def _logits_file(self) -> Path:
        return self._scratch / "logits.pt"

    def _run_exporter(self, request: ExportRequest) -> ExportResult:
        request_file = self._scratch / "request.json"
        result_file = self._scratch / "result.json"
        request_file.write_text(request.model_dump_json(by_alias=True), encoding="utf-8")
        module = "pretrain_workloads.trainer.export.exporter"
        command = [sys.executable, "-m", module, str(request_file), str(result_file)]
        exporter = subprocess.Popen(command, preexec_fn=die_with_parent)
        try:
            while exporter.poll() is None:
                if self._stop.is_requested:
                    raise Interrupted("stopped during the export; the trained model is saved")
                time.sleep(0.1)
        finally:
            exporter.kill()
            exporter.wait()
        if exporter.returncode < 0:
            raise ChildProcessError(f"the export was killed by signal {-exporter.returncode}")
        if exporter.returncode:
            raise RuntimeError(
                f"the export ended with exit code {exporter.returncode}; see the log"
            )
        return ExportResult.model_validate_json(result_file.read_bytes())


def _check(result: ExportResult, precision: str) -> None:
    allowed = TOLERANCE[precision] * max(1.0, result.largest)
    log.info("logits differ by %.2e, %.2e is allowed", result.difference, allowed)
    if not result.difference <= allowed:
        raise RuntimeError(
            f"the exported model's logits differ from the trained one's by "
            f"{result.difference:.2e}, more than {allowed:.2e}; nothing is exported"
        )
