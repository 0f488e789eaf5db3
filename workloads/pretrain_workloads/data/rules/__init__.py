"""Drop documents by rules: one file for each family of rules, and a registry of all of them.

To add a rule:

1. its settings, as a field of `DataRule` in `pretrain_api.v1alpha1.pipeline.rules`;
2. one new file here with a function `drop_reasons(settings, batch)`;
3. one line in `registry.RULES`.

Nothing else knows the rules by name: counts, samples and the report follow from the registry.
"""
