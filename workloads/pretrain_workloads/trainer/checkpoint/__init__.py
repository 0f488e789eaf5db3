"""Distributed checkpoints of a run: saved, verified, loaded and deleted."""
