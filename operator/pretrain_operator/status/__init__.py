"""Statuses: pure functions from plans and observations to what users see."""
