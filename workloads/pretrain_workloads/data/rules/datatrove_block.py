"""Run blocks of the datatrove library on a batch: filters, formatters and extractors."""

import importlib
import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pretrain_api.v1alpha1.pipeline.rules import DatatroveRule
from pretrain_workloads.data.batch import Batch
from pretrain_workloads.failures import UserError

_PREFIXES = tuple(f"datatrove.pipeline.{kind}." for kind in ("filters", "formatters", "extractors"))

_ROW = "row of the batch"
"""Key in the metadata of a datatrove document."""


def run_block(rule: DatatroveRule, batch: Batch) -> tuple[list[str], list[str]]:
    """Return the texts that a block leaves, and for each document why it is dropped.

    Raises:
        UserError: If there is no such block, or it does not take the arguments.
    """
    block = _block(rule.step, json.dumps(rule.arguments, sort_keys=True))
    texts = list(batch.texts)
    if hasattr(block, "filter"):
        return texts, [_filtered(block, document) for document in _documents(batch)]
    reasons = [f"dropped by {rule.step.rpartition('.')[2]}"] * len(batch)
    for document in block.run(_documents(batch), 0, 1):
        row = document.metadata[_ROW]
        texts[row], reasons[row] = document.text, ""
    return texts, reasons


def _filtered(block: Any, document: Any) -> str:
    """Return why a filter drops a document, or an empty string."""
    result = block.filter(document)
    keeps, reason = result if isinstance(result, tuple) else (result, "")
    return "" if keeps else str(reason) or f"dropped by {type(block).__name__}"


def _documents(batch: Batch) -> Iterator[Any]:
    """Yield the documents as datatrove's; their metadata has the names of our columns."""
    from datatrove.data import Document

    columns = zip(
        batch.ids, batch.texts, batch.languages, batch.domains, batch.sources, strict=True
    )
    for row, (name, text, language, domain, source) in enumerate(columns):
        metadata = {"language": language, "domain": domain, "source": source, _ROW: row}
        yield Document(text=text, id=name, metadata=metadata)


@lru_cache(maxsize=128)
def _block(path: str, arguments: str) -> Any:
    module, _, name = path.rpartition(".")
    if not path.startswith(_PREFIXES):
        raise UserError(f"spec.rules: {path} is no filter, formatter or extractor of datatrove")
    try:
        block = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"spec.rules: the image has no block {path} ({error}); correct the import path, or use "
            "an image that has it"
        ) from error
    try:
        return block(**json.loads(arguments))
    except (TypeError, ValueError) as error:
        raise UserError(
            f"spec.rules: {path} does not take the arguments {arguments} ({error})"
        ) from error
