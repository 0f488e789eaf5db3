"""Digests name artifacts: the same manifest finds its artifact in every version."""

from typing import Any

import pytest

from pretrain_api.digests import content_of, digest
from pretrain_api.v1alpha1.datapipeline import DataPipelineSpec

SECRET = {"credentialsSecretRef": {"name": "s3"}}


def pipeline(**changes: Any) -> DataPipelineSpec:
    source = {"name": "web", "uri": "s3://raw/*.jsonl.gz", "format": "jsonl", "language": "zh"}
    spec = {
        "sources": [{**source, **SECRET}],
        "output": {"uri": "s3://out", **SECRET},
        "rules": [{"length": {"minCharacters": 64}}],
        "tasks": 4,
        "parallelism": 2,
        "profileRef": {"name": "p"},
    }
    return DataPipelineSpec.model_validate(spec | changes)


def test_the_digest_of_what_a_manifest_says_never_changes() -> None:
    """It is in the names of Jobs; another one would run every pipeline of a cluster again."""
    want = "acd435b6351adeeebf3da472f070dec2428448188581f8feb7758afcc56a9bf4"
    assert digest(content_of(pipeline()), []) == want


def test_the_digest_of_what_an_artifact_is_made_of_never_changes() -> None:
    """It is in the URIs of artifacts; another one would compute all of them again."""
    want = "3c6e7a034f3b16b3cfb3ff27ce03d23a96712379f0be0c9ca4624ee5872f46ad"
    fields = content_of(pipeline(), leave_out=("output",), with_defaults=True)
    assert digest("2", fields) == want


@pytest.mark.parametrize("with_defaults", [False, True])
def test_who_computes_it_with_which_secrets_does_not_count(with_defaults: bool) -> None:
    other = pipeline(tasks=9, parallelism=None, profileRef=None, output={"uri": "s3://out"})
    fields = content_of(other, with_defaults=with_defaults)
    assert fields == content_of(pipeline(), with_defaults=with_defaults)
    assert "credentialsSecretRef" not in str(fields)
