"""Manifests: pure functions from plans to the objects that are sent to the API server."""
