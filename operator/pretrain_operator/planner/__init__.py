"""The planner: memory, step time and layouts of a run, from its spec and its devices alone."""
