"""Apply the rules of a spec to a batch, in order."""

import numpy as np

from pretrain_api.v1alpha1.pipeline.rules import DataRule
from pretrain_workloads.data.batch import Batch, Rows
from pretrain_workloads.data.rules.registry import drop_reasons, rule_key
from pretrain_workloads.data.rules.rejects import Rejects


def apply_rules(rules: list[DataRule], batch: Batch, rejects: Rejects) -> Batch:
    """Return the documents that no rule drops; the first rule that drops one is charged for it."""
    for position, rule in enumerate(rules, 1):
        covered = _covered(rule, batch)
        reasons = drop_reasons(rule, batch.select(covered))
        dropped = np.fromiter(map(bool, reasons), np.bool_, len(reasons))
        if dropped.any():
            rows = covered[dropped]
            rejects.add(rule_key(position, rule), batch.select(rows), [r for r in reasons if r])
            batch = batch.select(np.delete(np.arange(len(batch)), rows))
    return batch


def _covered(rule: DataRule, batch: Batch) -> Rows:
    """Return the documents in the languages and the domains that the rule is for."""
    covered = np.ones(len(batch), np.bool_)
    for wanted, values in ((rule.languages, batch.languages), (rule.domains, batch.domains)):
        if wanted:
            covered &= np.fromiter((value in wanted for value in values), np.bool_, len(batch))
    return np.flatnonzero(covered)
