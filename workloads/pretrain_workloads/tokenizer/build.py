"""Build the artifact: sample, train or read, measure, publish."""

import logging
from typing import Any

from pretrain_api.reports import ExitClass, ExitReport
from pretrain_api.runs import TokenizerRun
from pretrain_api.v1alpha1.data_status import ArtifactRef
from pretrain_api.v1alpha1.tokenizer import TokenizerSpec, TokenizerSummary
from pretrain_workloads.data.documents import read_index
from pretrain_workloads.storage import open_artifact, open_output, read_manifest, seal_manifest
from pretrain_workloads.tokenizer.acceptance import check_acceptance
from pretrain_workloads.tokenizer.conversion import configuration
from pretrain_workloads.tokenizer.existing import existing_tokenizer
from pretrain_workloads.tokenizer.files import CONFIGURATION
from pretrain_workloads.tokenizer.measure import measure
from pretrain_workloads.tokenizer.sample import EVALUATE, TRAIN, draw_sample, texts
from pretrain_workloads.tokenizer.trained_tokenizer import TrainedTokenizer, train_tokenizer

log = logging.getLogger(__name__)


def build(run: TokenizerRun) -> ExitReport:
    """Build the tokenizer, unless that is done.

    Raises:
        UserError: If the documents do not fit the spec, or the tokenizer is not acceptable.
    """
    folder = open_output(run)
    if manifest := read_manifest(folder):
        log.info("%s is already complete", run.artifact.uri)
        return _report(run, TokenizerSummary.model_validate(manifest.summary), reused=True)
    documents = open_artifact(run.documents)
    sample = draw_sample(read_index(documents, ("id", "language", "bytes")), run.spec.corpus)
    evaluation = list(texts(documents, sample.uses, EVALUATE))
    evaluated = [text for _, text in evaluation]
    if run.spec.existing is not None:
        made = existing_tokenizer(run.spec, run.spec.existing, evaluated)
    else:
        log.info("training on %.1f MB", sample.train_bytes / 1e6)
        train_texts = (text for _, text in texts(documents, sample.uses, TRAIN))
        made = train_tokenizer(run.spec, train_texts, evaluated)
    log.info("%s ids, encoded by %s", run.spec.vocabulary_size, made.encoder)
    measures = measure(made, evaluation)
    check_acceptance(run.spec, measures)
    summary = TokenizerSummary(
        vocabulary_size=run.spec.vocabulary_size,
        end_of_document=made.end,
        begin_of_document=made.begin,
        changed=measures.changed,
        encoder=made.encoder,
        sampled_bytes=0 if run.spec.existing else sample.train_bytes,
        characters_per_token=measures.characters_per_token,
        bytes_per_token=measures.bytes_per_token,
        used_ids=measures.used_ids,
        byte_fallback=measures.byte_fallback,
    )
    files = [folder.write_bytes(path, content) for path, content in made.files.items()]
    files.append(folder.write_json(CONFIGURATION, _configuration(made, run.spec)))
    seal_manifest(
        folder,
        ("sentencepiece", "tokenizers", "gigatoken"),
        kind="Tokenizer",
        name=run.name,
        digest=run.artifact.digest,
        spec=run.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        inputs=[ArtifactRef(uri=run.documents.uri, digest=run.documents.digest)],
        files=files,
        summary=summary.model_dump(by_alias=True),
    )
    folder.delete_partial()
    return _report(run, summary, reused=False)


def _configuration(made: TrainedTokenizer, spec: TokenizerSpec) -> dict[str, Any]:
    """Return `tokenizer_config.json`."""
    if spec.existing is None:
        return configuration()
    begin = None if made.begin is None else made.huggingface.id_to_token(made.begin)
    return configuration(begin, made.huggingface.id_to_token(made.end), unknown=None)


def _report(run: TokenizerRun, summary: TokenizerSummary, reused: bool) -> ExitReport:
    return ExitReport(
        exit_class=ExitClass.COMPLETE,
        artifact=run.artifact,
        reused=reused,
        counts={"sampledBytes": summary.sampled_bytes},
        tokenizer=summary,
    )
