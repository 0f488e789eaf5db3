"""The planner: memory, step time and layout of a run, from its spec and its devices alone."""
