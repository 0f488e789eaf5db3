"""One idempotent reconcile for each kind: observe, plan, apply, and one status write."""
