"""The token blocks of a run: read, shuffled and cut into micro-batches."""
