from typing import Any

import pytest

from builders import (
    artifact,
    make_object,
    parsed_dataset,
    parsed_pipeline,
    parsed_profile,
    parsed_tokenizer,
)
from pretrain_api.artifacts import artifact_uri
from pretrain_api.runs import DatasetRun, OpenedArtifact, TokenizerRun
from pretrain_operator.plan.data.chains import plan_chain
from pretrain_operator.plan.data.objects import DataObject, content_digest, input_fields
from pretrain_operator.plan.placement import plan_placement

SECRET = {"credentialsSecretRef": {"name": "s3"}}
DOCUMENTS = OpenedArtifact(uri=artifact("documents").uri, digest="d" * 64, credentials_secret="in")
PLACEMENT = plan_placement(parsed_profile(), "data")
TOKENS = OpenedArtifact(uri=artifact("tokens").uri, digest="e" * 64)


def test_location_and_placement_do_not_change_the_digest() -> None:
    plain = content_digest(parsed_pipeline(), {})
    same = parsed_pipeline(
        tasks=7,
        parallelism=3,
        profileRef={"name": "gpu"},
        output={"uri": "file:///pretrain/data/artifacts", **SECRET},
    )
    assert content_digest(same, {}) == plain


@pytest.mark.parametrize(
    "change",
    [
        {"rules": [{"length": {"minCharacters": 3}}]},
        {"sources": [{"name": "web", "uri": "file:///pretrain/data/new/*.jsonl"}]},
        {"deduplication": {"exact": False}},
    ],
)
def test_the_content_of_a_spec_changes_the_digest(change: dict[str, Any]) -> None:
    assert content_digest(parsed_pipeline(**change), {}) != content_digest(parsed_pipeline(), {})


def test_an_explicit_default_does_not_change_the_digest() -> None:
    explicit = parsed_tokenizer(algorithm="bpe", splitDigits=True)
    inputs = {"spec.corpus.pipelineRef": DOCUMENTS}
    assert content_digest(explicit, inputs) == content_digest(parsed_tokenizer(), inputs)


def test_other_documents_change_the_digest_of_a_tokenizer() -> None:
    other = DOCUMENTS.model_copy(update={"digest": "f" * 64})
    field = "spec.corpus.pipelineRef"
    assert content_digest(parsed_tokenizer(), {field: DOCUMENTS}) != content_digest(
        parsed_tokenizer(), {field: other}
    )


def test_the_job_of_a_tokenizer_has_its_documents_and_the_secrets_of_input_and_output() -> None:
    owner = make_object("Tokenizer", "tokens")
    existing = {"uri": "s3://theirs", "credentialsSecretRef": {"name": "theirs"}}
    spec = parsed_tokenizer(output={"uri": "s3://models", **SECRET}, existing=existing)
    chain = plan_chain(DataObject(owner, spec, {"spec.corpus.pipelineRef": DOCUMENTS}), PLACEMENT)
    job = chain.job("train", None)
    assert isinstance(job.run, TokenizerRun)
    assert job.run.documents == DOCUMENTS
    assert job.run.artifact.uri == artifact_uri(
        "s3://models", "Tokenizer", "tokens", job.run.artifact.digest
    )
    assert (job.program, job.arguments) == ("pretrain_workloads.tokenizer", ())
    assert job.secrets == ("in", "s3", "theirs")


def test_a_dataset_refers_to_its_tokenizer_and_to_each_part_of_the_mixture() -> None:
    owner = make_object("TokenDataset", "blocks")
    parts = [
        {"pipelineRef": {"name": "documents"}, "where": {"language": language}}
        for language in ("zh", "en")
    ]
    spec = parsed_dataset(mixture=parts, tasks=4, parallelism=2)
    fields = input_fields(owner.key, spec)
    assert [key.title for key in fields.values()] == [
        "Tokenizer tokens",
        "DataPipeline documents",
        "DataPipeline documents",
    ]
    inputs = dict.fromkeys(fields, DOCUMENTS) | {"spec.tokenizerRef": TOKENS}
    chain = plan_chain(DataObject(owner, spec, inputs), PLACEMENT)
    jobs = [chain.job(stage, chain.artifact) for stage in chain.stages]
    assert [(job.stage, job.tasks, job.parallelism) for job in jobs] == [
        ("tokenize", 4, 2),
        ("compose", 1, 1),
        ("block", 4, 2),
        ("seal", 1, 1),
    ]
    for job in jobs:
        assert isinstance(job.run, DatasetRun)
        assert (job.run.tokenizer, job.run.documents) == (TOKENS, [DOCUMENTS, DOCUMENTS])


def test_secrets_of_benchmarks_samples_and_models_are_mounted_too() -> None:
    def source(name: str) -> dict[str, Any]:
        return {"name": name, "uri": f"s3://{name}/*", "credentialsSecretRef": {"name": name}}

    onnx = {"uri": "s3://m/m", "credentialsSecretRef": {"name": "bert"}}
    models = {"quality": {"onnx": onnx}, "domain": {"samples": [source("samples")]}}
    spec = parsed_pipeline(decontaminate={"against": [source("benchmark")]}, models=models)
    chain = plan_chain(DataObject(make_object("DataPipeline", "documents"), spec, {}), PLACEMENT)
    for stage in ("list", "prepare"):
        assert set(chain.job(stage, artifact()).secrets) >= {"benchmark", "samples", "bert"}


def test_only_the_stages_that_read_sources_mount_their_secrets() -> None:
    owner = make_object("DataPipeline", "documents")
    source = {"name": "web", "uri": "s3://raw/*.jsonl", "credentialsSecretRef": {"name": "raw"}}
    spec = parsed_pipeline(sources=[source], output={"uri": "s3://corpus", **SECRET})
    chain = plan_chain(DataObject(owner, spec, {}), PLACEMENT)
    secrets = {stage: chain.job(stage, artifact()).secrets for stage in chain.stages}
    assert secrets["list"] == secrets["prepare"] == ("raw", "s3")
    assert secrets["match"] == secrets["decide"] == secrets["write"] == secrets["report"] == ("s3",)


def test_fields_that_may_change_while_pods_run_do_not_change_the_job() -> None:
    owner = make_object("DataPipeline", "documents")
    plain = plan_chain(DataObject(owner, parsed_pipeline(), {}), PLACEMENT)
    moved = parsed_pipeline(parallelism=1, profileRef={"name": "gpu"})
    assert plan_chain(DataObject(owner, moved, {}), PLACEMENT).job("list", None).name == (
        plain.job("list", None).name
    )
