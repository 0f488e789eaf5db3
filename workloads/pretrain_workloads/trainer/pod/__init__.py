"""The pod around the ranks: its processes, signals, files, limits and network name."""
