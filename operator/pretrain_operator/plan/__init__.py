"""Decisions: pure functions from what is wanted and what is observed to what has to be done."""
