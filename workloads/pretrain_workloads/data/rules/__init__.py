"""Drop documents by rules: one file for each family of rules, and a registry of all of them."""
