"""Find documents that hold text of a benchmark: every n-gram of theirs is looked up in an index."""
