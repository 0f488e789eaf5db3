"""Planning: pure functions from a spec and an observation to the next actions."""
