"""The ConfigMap with the document that a Job's pods read."""

from collections.abc import Mapping
from typing import Any

from pretrain_api.digests import digest
from pretrain_api.runs import Run
from pretrain_operator.build.metadata import build_metadata
from pretrain_operator.observed.objects import ObservedObject

SPEC_FILE = "spec.json"

_DIGITS = 8


def build_config_map(
    owner: ObservedObject, job: str, run: Run, labels: Mapping[str, str]
) -> dict[str, Any]:
    """Return the immutable ConfigMap of the Job `job`, with `run` as JSON.

    Its name has a digest of its content: a ConfigMap that was created before a crash does not
    conflict with that of a spec that is edited before the Job is created. The name has at most 61
    characters.
    """
    text = run.model_dump_json(by_alias=True, exclude_none=True, indent=2)
    name = f"{job}-{digest(text)[:_DIGITS]}"
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": build_metadata(owner, name, labels),
        "immutable": True,
        "data": {SPEC_FILE: text + "\n"},
    }
