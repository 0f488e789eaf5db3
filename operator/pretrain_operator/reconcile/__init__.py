"""The controller: a work queue, and one idempotent reconcile for all kinds."""
