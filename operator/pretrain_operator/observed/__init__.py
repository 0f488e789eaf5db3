"""What was read from the API server, parsed once: objects, Jobs, pods, references, statuses."""
