"""Apply the rules of a spec to a batch, in order."""

import time

import numpy as np

from pretrain_api.v1alpha1.pipeline.rules import DataRule
from pretrain_workloads.data.batch import Batch, Rows
from pretrain_workloads.data.rules.registry import apply_rule, rule_key
from pretrain_workloads.data.rules.rejects import Rejects


def apply_rules(rules: list[DataRule], batch: Batch, rejects: Rejects) -> Batch:
    """Return the documents that no rule drops; the first rule that drops one is charged for it."""
    for position, rule in enumerate(rules, 1):
        started = time.process_time()
        batch = _apply(rule, rule_key(position, rule), batch, rejects)
        rejects.add_seconds(rule_key(position, rule), time.process_time() - started)
    return batch


def _apply(rule: DataRule, key: str, batch: Batch, rejects: Rejects) -> Batch:
    covered = _covered(rule, batch)
    part = batch.select(covered)
    texts, reasons = apply_rule(rule, part)
    dropped = np.fromiter(map(bool, reasons), np.bool_, len(reasons))
    if dropped.any():
        rejects.add(key, part.select(np.flatnonzero(dropped)), [r for r in reasons if r])
    if texts is not part.texts:
        changed = list(batch.texts)
        for row, text in zip(covered.tolist(), texts, strict=True):
            changed[row] = text
        batch = batch.with_texts(changed)
    return batch.select(np.delete(np.arange(len(batch)), covered[dropped]))


def _covered(rule: DataRule, batch: Batch) -> Rows:
    """Return the documents in the languages and the domains that the rule is for."""
    covered = np.ones(len(batch), np.bool_)
    for wanted, values in ((rule.languages, batch.languages), (rule.domains, batch.domains)):
        if wanted:
            covered &= np.fromiter((value in wanted for value in values), np.bool_, len(batch))
    return np.flatnonzero(covered)
