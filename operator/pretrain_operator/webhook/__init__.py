"""The optional admission webhook: it checks new runs together with what they refer to."""
