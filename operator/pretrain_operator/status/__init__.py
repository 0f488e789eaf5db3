"""Statuses: pure functions from plans and observations to the status of an object."""
