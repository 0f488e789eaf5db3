"""Apply the rules of a spec, in order, as a datatrove step."""

from itertools import batched

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from pretrain_api.v1alpha1.datapipeline import DataRule
from pretrain_workloads.data.executor import Documents
from pretrain_workloads.data.rules.registry import drop_reasons, rule_key
from pretrain_workloads.data.rules.rejects import Rejects

_BATCH = 256
"""Documents that a rule sees at once: compiled kernels need many for one call."""


class ApplyRules(PipelineStep):  # type: ignore[misc]
    """Drops documents batch by batch; the first rule that drops a document is charged for it."""

    name = "rules"
    type = "filter"

    def __init__(self, rules: list[DataRule], rejects: Rejects) -> None:
        super().__init__()
        self._rules = [(rule_key(i, rule), rule) for i, rule in enumerate(rules, 1)]
        self._rejects = rejects

    def run(self, data: Documents, rank: int = 0, world_size: int = 1) -> Documents:
        """Yield the documents that no rule drops."""
        for batch in batched(data, _BATCH):
            remaining = list(batch)
            for key, rule in self._rules:
                remaining = self._apply(key, rule, remaining)
            yield from remaining

    def _apply(self, key: str, rule: DataRule, documents: list[Document]) -> list[Document]:
        covered = [document for document in documents if _covers(rule, document)]
        reasons = dict(zip(map(id, covered), drop_reasons(rule, covered), strict=True))
        kept = []
        for document in documents:
            if reason := reasons.get(id(document), ""):
                self._rejects.add(key, document, reason)
            else:
                kept.append(document)
        return kept


def _covers(rule: DataRule, document: Document) -> bool:
    """Return whether the rule is for the language and the domain of a document."""
    return (not rule.languages or document.metadata["language"] in rule.languages) and (
        not rule.domains or document.metadata["domain"] in rule.domains
    )
