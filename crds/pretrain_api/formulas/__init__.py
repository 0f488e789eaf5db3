"""Formulas that the planner and the trainer share, each written once with its units and source."""
