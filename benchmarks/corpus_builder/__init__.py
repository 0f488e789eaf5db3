"""Real text for benchmarks, from package registries."""
