"""The ConfigMap that tells a Job's pods what to do."""

from collections.abc import Mapping
from typing import Any

from pretrain_api.runs import Run
from pretrain_operator.build.metadata import build_metadata
from pretrain_operator.plan.observed import ObservedObject

SPEC_FILE = "spec.json"


def build_config_map(
    owner: ObservedObject, name: str, run: Run, labels: Mapping[str, str]
) -> dict[str, Any]:
    """Return the ConfigMap `name` with `run` as JSON; it never changes, as its Job never does."""
    text = run.model_dump_json(by_alias=True, exclude_none=True, indent=2)
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": build_metadata(owner, name, labels),
        "immutable": True,
        "data": {SPEC_FILE: text + "\n"},
    }
