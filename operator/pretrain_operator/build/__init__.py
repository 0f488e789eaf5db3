"""Manifests: pure functions from plans to what is sent to the API server."""
