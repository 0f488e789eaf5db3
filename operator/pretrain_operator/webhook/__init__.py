"""The optional admission webhook: the same rules, and what other objects have to say."""
