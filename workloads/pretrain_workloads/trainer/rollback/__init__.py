"""Spikes of the loss, and the rollbacks that they and numbers that are none lead to."""
