"""The end of a run: the exported model, its check, the continuations, and the manifest."""

import logging
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_workloads.failures import UserError
from pretrain_workloads.storage import open_artifact
from pretrain_workloads.trainer.export.exporter import Answer, Request
from pretrain_workloads.trainer.export.publishing import publish
from pretrain_workloads.trainer.export.reference_logits import reference_logits
from pretrain_workloads.trainer.pod.ends import Interrupted
from pretrain_workloads.trainer.pod.parent_death import die_with_parent
from pretrain_workloads.trainer.run_folder.finished import export_folder, seal_run
from pretrain_workloads.trainer.training import Training

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


def complete(training: Training) -> ExitReport:
    """Finish the run after its last step; only rank 0 has something to do after the logits.

    Raises:
        Interrupted: If the pod was asked to end meanwhile; the next attempt exports again.
        UserError: If the tokenizer's artifact or the place of the export is wrong, or if the run's
            folder belongs to somebody else now.
    """
    needs_export = export_folder(training.run) is not None or bool(
        training.run.spec.evaluation.prompts
    )
    if needs_export:
        _note_logits(training)
    if training.world.rank > 0:
        return ExitReport(exit_class=ExitClass.COMPLETE)
    if needs_export:
        training.tracker.set_progress(phase="exporting", eta_seconds=None)
        _export(training)
    note = training.tracker.note
    training.checkpoints.lease.check()
    artifact = seal_run(training.run, note.summary, note.progress)
    return ExitReport(
        exit_class=ExitClass.COMPLETE,
        artifact=artifact,
        training=note.summary,
        checkpoint=note.progress.checkpoint,
        curve=note.progress.curve,
    )


def _logits_file(training: Training) -> Path:
    return training.workspace.folder("export") / "logits.pt"


def _note_logits(training: Training) -> None:
    ids = torch.from_numpy(training.dataset.training_sequence(0)[:-1])
    logits = reference_logits(training.chunks, training.layout, training.world, ids)
    if training.world.rank == 0:
        torch.save({"ids": ids, "logits": logits}, _logits_file(training))


def _export(training: Training) -> None:
    scratch = training.workspace.folder("export")
    model = scratch / "model"
    shutil.rmtree(model, ignore_errors=True)
    model.mkdir()
    _fetch_tokenizer(training, model)
    checkpoint = training.checkpoints.fetch(training.step)
    answer = _run_exporter(training, checkpoint, model)
    _check(answer, training.run.spec.training.precision)
    training.tracker.set_summary(
        continuations=answer.continuations, export_logit_difference=answer.difference
    )
    folder = export_folder(training.run)
    if folder is not None:
        lease, summary = training.checkpoints.lease, training.tracker.summary
        training.tracker.set_summary(export=publish(training.run, lease, folder, model, summary))
    shutil.rmtree(scratch, ignore_errors=True)


def _fetch_tokenizer(training: Training, model: Path) -> None:
    folder = open_artifact(training.run.tokenizer)
    files = [name for name in TOKENIZER_FILES if folder.exists(name)]
    if "tokenizer.json" not in files:
        raise UserError(
            f"{folder.uri_of('tokenizer.json')}: does not exist; the Tokenizer's artifact is "
            "incomplete: delete it and let the Tokenizer make it again"
        )
    for name in files:
        folder.download(name, model / name)


def _run_exporter(training: Training, checkpoint: Path, model: Path) -> Answer:
    spec, layout = training.run.spec, training.layout
    scratch = training.workspace.folder("export")
    asked, answered = scratch / "request.json", scratch / "answer.json"
    request = Request(
        checkpoint=str(checkpoint),
        output=str(model),
        model=spec.model,
        vocabulary_size=layout.vocabulary_size,
        seq_length=layout.seq_length,
        precision=spec.training.precision,
        logits=str(_logits_file(training)),
        prompts=spec.evaluation.prompts,
        max_new_tokens=min(spec.evaluation.max_new_tokens, layout.seq_length - 1),
    )
    asked.write_text(request.model_dump_json(by_alias=True), encoding="utf-8")
    program = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pretrain_workloads.trainer.export.exporter",
            str(asked),
            str(answered),
        ],
        preexec_fn=die_with_parent,
    )
    try:
        while program.poll() is None:
            if training.stop.is_asked:
                raise Interrupted("stopped during the export; the trained model is saved")
            time.sleep(0.1)
    finally:
        program.kill()
        program.wait()
    if program.returncode < 0:
        raise ChildProcessError(f"the export was killed by signal {-program.returncode}")
    if program.returncode:
        raise RuntimeError(f"the export ended with exit code {program.returncode}; see the log")
    return Answer.model_validate_json(answered.read_bytes())


def _check(answer: Answer, precision: str) -> None:
    allowed = TOLERANCE[precision] * max(1.0, answer.largest)
    log.info("logits differ by %.2e, %.2e is allowed", answer.difference, allowed)
    if not answer.difference <= allowed:
        raise RuntimeError(
            f"the exported model's logits differ from the trained one's by "
            f"{answer.difference:.2e}, more than {allowed:.2e}; nothing is exported"
        )
